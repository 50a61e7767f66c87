/* A POP3 load: CONNECTIONS sessions at a time, each connect, USER, PASS, STAT, UIDL, RETR of the first MESSAGES
 * messages (optionally DELE), QUIT; over and over for SECONDS.
 *
 * One thread over epoll, so that the load itself takes little of the machine it measures. Every reply is checked: a
 * session with any -ERR or a lost connection is an error, not a session.
 *
 * Usage: pop3load HOST PORT USERFORMAT PASSWORD USERS CONNECTIONS SECONDS MESSAGES [dele] [pipeline]
 * Prints: sessions/s N retr/s N MB/s N errors N
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum step { GREETING, USER, PASS, STAT, UIDL, RETR, DELE, QUIT };

struct session {
  int fd, index;
  enum step step;
  int message, messages, inBody;
  char line[512];      /* the reply line being read, or the start of the body line being read */
  unsigned lineLength; /* octets of that line so far */
  char user[256];
};

static struct sockaddr_in server;
static const char *userFormat, *password;
static int users, connections, wantMessages, dele, pipeline, epfd;
static long sessions, retrieved, octets, errors;
static double stopAt;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int say(struct session *s, const char *text) {
  size_t length = strlen(text);
  return send(s->fd, text, length, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -1;
}

static void start(struct session *s) {
  int one = 1;
  s->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&server, sizeof server) < 0) {
    perror("connect");
    exit(1);
  }
  setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  s->step = GREETING;
  s->message = s->messages = s->inBody = 0;
  s->lineLength = 0;
  /* Each connection has users of its own: two sessions of one user would wait for each other's lock. */
  snprintf(s->user, sizeof s->user, userFormat, s->index + connections * (rand() % (users / connections)));
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
  epoll_ctl(epfd, EPOLL_CTL_ADD, s->fd, &event);
}

static void finish(struct session *s, int good) {
  if (good) sessions++;
  else errors++;
  close(s->fd);
  s->fd = -1;
  if (now() < stopAt) start(s);
}

static int retrieveAll(struct session *s) {
  char *all = malloc((size_t)s->messages * 32 + 1);
  int used = 0;
  for (int i = 1; i <= s->messages; i++)
    used += sprintf(all + used, dele ? "RETR %d\r\nDELE %d\r\n" : "RETR %d\r\n", i, i);
  int sent = say(s, all);
  free(all);
  return sent;
}

static int nextMessage(struct session *s) {
  char text[64];
  if (++s->message > s->messages) {
    s->step = QUIT;
    return say(s, "QUIT\r\n");
  }
  s->step = RETR;
  if (pipeline) return s->message == 1 ? retrieveAll(s) : 0;
  sprintf(text, "RETR %d\r\n", s->message);
  return say(s, text);
}

/* What follows a multi-line reply's end. */
static int afterBody(struct session *s) {
  char text[64];
  s->inBody = 0;
  if (s->step == UIDL) return nextMessage(s);
  retrieved++;
  if (!dele) return nextMessage(s);
  s->step = DELE;
  if (pipeline) return 0;
  sprintf(text, "DELE %d\r\n", s->message);
  return say(s, text);
}

/* What follows a reply line; 1 ends the session well, -1 badly. */
static int afterLine(struct session *s) {
  char text[512];
  if (s->line[0] != '+') return -1;
  switch (s->step) {
  case GREETING:
    s->step = USER;
    snprintf(text, sizeof text, "USER %s\r\n", s->user);
    return say(s, text);
  case USER:
    s->step = PASS;
    snprintf(text, sizeof text, "PASS %s\r\n", password);
    return say(s, text);
  case PASS:
    s->step = STAT;
    return say(s, "STAT\r\n");
  case STAT:
    s->messages = atoi(s->line + 4);
    if (s->messages > wantMessages) s->messages = wantMessages;
    s->step = UIDL;
    return say(s, "UIDL\r\n");
  case UIDL:
  case RETR:
    s->inBody = 1;
    return 0;
  case DELE:
    return nextMessage(s);
  case QUIT:
    return 1;
  }
  return -1;
}

/* Reads what has come; lines are found with memchr so that bodies cost little. */
static int consume(struct session *s, char *data, ssize_t length) {
  char *end = data + length;
  while (data < end) {
    char *newline = memchr(data, '\n', (size_t)(end - data));
    size_t piece = (size_t)((newline ? newline + 1 : end) - data);
    /* Of a body line only so much is kept as tells whether it is the terminating one. */
    size_t keep = s->inBody ? 4 : sizeof s->line - 1;
    for (size_t i = 0; i < piece && s->lineLength + i < keep; i++) s->line[s->lineLength + i] = data[i];
    s->lineLength += (unsigned)piece;
    if (s->inBody && s->step == RETR) octets += (long)piece;
    data += piece;
    if (!newline) return 0;
    unsigned lineLength = s->lineLength;
    s->lineLength = 0;
    s->line[lineLength < sizeof s->line - 1 ? lineLength : sizeof s->line - 1] = 0;
    int result = 0;
    if (!s->inBody) result = afterLine(s);
    else if (lineLength == 3 && s->line[0] == '.' && s->line[1] == '\r') result = afterBody(s);
    if (result != 0) return result;
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 9) {
    fprintf(stderr, "usage: pop3load HOST PORT USERFORMAT PASSWORD USERS CONNECTIONS SECONDS MESSAGES [dele] [pipeline]\n");
    return 2;
  }
  server.sin_family = AF_INET;
  server.sin_port = htons((unsigned short)atoi(argv[2]));
  if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) return fprintf(stderr, "HOST must be an IPv4 address\n"), 2;
  userFormat = argv[3];
  password = argv[4];
  users = atoi(argv[5]);
  connections = atoi(argv[6]);
  if (connections < 1 || users < connections) return fprintf(stderr, "there must be USERS for all CONNECTIONS\n"), 2;
  double seconds = atof(argv[7]);
  wantMessages = atoi(argv[8]);
  for (int i = 9; i < argc; i++) {
    if (strcmp(argv[i], "dele") == 0) dele = 1;
    if (strcmp(argv[i], "pipeline") == 0) pipeline = 1;
  }
  srand(1);
  epfd = epoll_create1(0);
  double began = now();
  stopAt = began + seconds;
  struct session *all = calloc((size_t)connections, sizeof *all);
  for (int i = 0; i < connections; i++) {
    all[i].index = i;
    start(&all[i]);
  }
  static char data[256 * 1024];
  struct epoll_event events[256];
  /* Sessions that are open when time is up end by themselves; a server that hangs is given five seconds. */
  while (now() < stopAt + 5) {
    int open = 0;
    for (int i = 0; i < connections; i++) open += all[i].fd >= 0;
    if (open == 0) break;
    int count = epoll_wait(epfd, events, 256, 200);
    for (int i = 0; i < count; i++) {
      struct session *s = events[i].data.ptr;
      ssize_t length = recv(s->fd, data, sizeof data, MSG_DONTWAIT);
      if (length < 0 && errno == EAGAIN) continue;
      int result = length <= 0 ? -1 : consume(s, data, length);
      if (result != 0) finish(s, result > 0);
    }
  }
  double took = now() - began;
  printf("sessions/s %.0f retr/s %.0f MB/s %.1f errors %ld\n", sessions / took, retrieved / took, octets / took / 1e6, errors);
  return errors > 0;
}
