//! What the administrator decides about sessions.

use courier_core::time::Millis;

/// How a session behaves. Shared by all sessions on one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What may be used to log in while the connection is in clear.
    pub clear: Logins,
    /// What may be used to log in under TLS.
    pub tls: Logins,
    /// Whether STARTTLS is offered while the connection is in clear.
    pub starttls: StartTls,
    /// What ID says of this server, as pairs of field and value.
    pub id: Vec<(String, String)>,
    /// The largest message that APPEND takes, in octets.
    pub append_limit: u64,
    /// How long a client may take to log in.
    pub login_limit: Millis,
    /// How long a client that has logged in may be silent.
    pub idle_limit: Millis,
    /// How long a client may be silent inside a literal.
    pub literal_limit: Millis,
    /// Failed logins before the connection ends.
    pub login_failures: u32,
    /// How much longer each failed login waits for its answer than the one before.
    pub failure_delay: Millis,
    /// The longest such wait.
    pub longest_failure_delay: Millis,
    /// Wrong commands in a row before the connection ends: before login, and after.
    pub wrong_commands: (u32, u32),
    /// What becomes of expunged messages, which the host sees to.
    pub expunged: Expunged,
    /// After this time any command looks for changes of the mailbox.
    pub refresh_after: Millis,
}

/// Ways to log in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logins {
    /// Whether LOGIN may be used.
    pub command: LoginCommand,
    /// Names of SASL mechanisms in upper case, in the order in which they are offered.
    pub mechanisms: Vec<String>,
}

/// Whether LOGIN may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginCommand {
    /// It may.
    Allowed,
    /// `LOGINDISABLED`: STARTTLS has to come first.
    #[default]
    Disabled,
}

/// What becomes of expunged messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expunged {
    /// They are removed.
    #[default]
    Removed,
    /// `XMAGICTRASH`: they go to the trash.
    ToTrash,
}

/// Whether STARTTLS is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// It is.
    Offered,
    /// There is no certificate.
    Unavailable,
}

impl Default for Settings {
    /// No login in clear, PLAIN and LOGIN under TLS, the limits of the specification.
    fn default() -> Self {
        Self {
            clear: Logins::default(),
            tls: Logins {
                command: LoginCommand::Allowed,
                mechanisms: vec!["PLAIN".to_owned()],
            },
            starttls: StartTls::Offered,
            id: vec![("name".to_owned(), "Courier-IMAP".to_owned())],
            append_limit: 100 * 1024 * 1024,
            login_limit: Millis::from_secs(60),
            idle_limit: Millis::from_mins(30),
            literal_limit: Millis::from_secs(60),
            login_failures: 3,
            failure_delay: Millis::from_secs(1),
            longest_failure_delay: Millis::from_secs(5),
            expunged: Expunged::Removed,
            wrong_commands: (10, 20),
            refresh_after: Millis::from_secs(1),
        }
    }
}
