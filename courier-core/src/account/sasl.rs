//! SASL (RFC 4422) for servers.

/// What the server makes of the client's last word in an exchange.
///
/// The protocol machines carry challenges and responses and know no mechanism: the
/// host answers each response with one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Send this challenge (not yet in base64) and wait for the response.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Accepted,
    /// Unknown, wrong or not allowed; to the client these look alike.
    Refused,
    /// The mechanism does not allow such a response.
    Malformed,
    /// The account database cannot answer now.
    Unavailable,
}
