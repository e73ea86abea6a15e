use courier_core::time::Millis;

/// How a service talks; shared by all of its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The greeting behind `+OK `.
    pub greeting: String,
    /// What CAPA says behind `IMPLEMENTATION `; none: nothing.
    pub implementation: Option<String>,
    /// Whether TLS can be had with STLS (`POP3_STARTTLS`, `POP3_TLS_REQUIRED`).
    pub tls: Tls,
    /// Whether passwords may pass in clear.
    pub clear_passwords: ClearPasswords,
    /// The mechanisms of AUTH (`POP3AUTH`, `POP3AUTH_TLS`).
    pub mechanisms: Mechanisms,
    /// What becomes of messages with 8-bit header fields when the client has not said
    /// UTF8.
    pub eight_bit_headers: EightBitHeaders,
    /// Seconds between two logins, for CAPA; the host sees to them
    /// ([`OpenRefusal::LoginDelay`](super::OpenRefusal::LoginDelay)).
    pub login_delay: Option<u32>,
    /// When messages are removed by the site, for CAPA; the host sees to it.
    pub expire: Option<Expire>,
    /// The limits of a session.
    pub limits: Limits,
}

impl Default for Settings {
    /// A server without certificate that takes passwords in clear from nobody.
    fn default() -> Self {
        Self {
            greeting: "Hello there.".to_owned(),
            implementation: Some("Courier Mail Server".to_owned()),
            tls: Tls::Unavailable,
            clear_passwords: ClearPasswords::Refused,
            mechanisms: Mechanisms::default(),
            eight_bit_headers: EightBitHeaders::default(),
            login_delay: None,
            expire: None,
            limits: Limits::default(),
        }
    }
}

/// Whether TLS can be had with STLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// There is no certificate.
    Unavailable,
    /// It is offered.
    Offered,
    /// Nobody logs in without it.
    Required,
}

/// Whether USER and PASS, AUTH PLAIN and AUTH LOGIN are there without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClearPasswords {
    /// They are: the client is on this host, or the administrator wants it so.
    Allowed,
    /// Only under TLS.
    Refused,
}

/// Names of SASL mechanisms in upper case, in the order in which they are offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mechanisms {
    /// Without TLS; PLAIN and LOGIN count only if [`ClearPasswords`] are allowed.
    pub plain: Vec<String>,
    /// Under TLS.
    pub tls: Vec<String>,
}

/// What becomes of a message with 8-bit header fields when the client has not said
/// UTF8 (RFC 6856).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EightBitHeaders {
    /// Courier: a notice comes instead, with the message attached as this media type
    /// (`MIME_UNICODE_MESSAGE_TYPE`).
    Notice(String),
    /// It is sent as it is.
    Unchanged,
}

impl Default for EightBitHeaders {
    fn default() -> Self {
        Self::Notice("message/global".to_owned())
    }
}

/// When messages are removed by the site (RFC 2449 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expire {
    /// Never.
    Never,
    /// After so many days.
    Days(u32),
}

/// The limits of a session (reliability.md section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line without CRLF.
    pub line: usize,
    /// Octets of an AUTH command and of a response to a challenge.
    pub auth_line: usize,
    /// From the connection to the login, in all.
    pub login_wait: Millis,
    /// How long a client that has logged in may be silent (RFC 1939 §3: 10 minutes or
    /// more).
    pub idle_wait: Millis,
    /// How long the host may take for a maildrop, a message, or the removal.
    pub host_wait: Millis,
    /// How long a TLS handshake may take.
    pub handshake_wait: Millis,
    /// The unknown or misplaced command of this number ends a session without login.
    pub errors_before_login: u32,
    /// The same for a session with login.
    pub errors: u32,
    /// The failed login of this number ends the session.
    pub auth_failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 4096,
            auth_line: 12_288,
            login_wait: Millis::from_secs(60),
            idle_wait: Millis::from_secs(600),
            host_wait: Millis::from_secs(600),
            handshake_wait: Millis::from_secs(15),
            errors_before_login: 10,
            errors: 20,
            auth_failures: 3,
        }
    }
}
