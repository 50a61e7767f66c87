// One account, as Thunderbird's own dialogue would make it. Put into an empty profile folder as user.js.
user_pref("mail.accountmanager.accounts", "account1");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.identity.id1.fullName", "Alice");
user_pref("mail.identity.id1.useremail", "alice@example.org");
user_pref("mail.identity.id1.smtpServer", "smtp1");
user_pref("mail.identity.id1.valid", true);

// Fetching: POP3, TLS from the start (3; STLS would be 2 with port 110), an ordinary password (3), copies stay.
user_pref("mail.server.server1.type", "pop3");
user_pref("mail.server.server1.name", "alice@example.org");
user_pref("mail.server.server1.hostname", "mail.example.org");
user_pref("mail.server.server1.port", 995);
user_pref("mail.server.server1.socketType", 3);
user_pref("mail.server.server1.authMethod", 3);
user_pref("mail.server.server1.userName", "alice");
user_pref("mail.server.server1.leave_on_server", true);
user_pref("mail.server.server1.login_at_startup", true);
user_pref("mail.server.server1.download_on_biff", true);

// Sending: submission with STARTTLS (2; TLS from the start would be 3 with port 465), an ordinary password (3).
user_pref("mail.smtpservers", "smtp1");
user_pref("mail.smtp.defaultserver", "smtp1");
user_pref("mail.smtpserver.smtp1.hostname", "mail.example.org");
user_pref("mail.smtpserver.smtp1.port", 587);
user_pref("mail.smtpserver.smtp1.try_ssl", 2);
user_pref("mail.smtpserver.smtp1.authMethod", 3);
user_pref("mail.smtpserver.smtp1.username", "alice");
