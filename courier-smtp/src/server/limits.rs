//! How much a client may ask of a session, and how long it may take (smtp.md §1.2,
//! reliability.md section 2).

use courier_core::time::Millis;

/// The limits of a session. Each is reached when its number is exceeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line without CRLF.
    pub command_line: usize,
    /// Octets of a line in answer to a challenge of AUTH.
    pub auth_line: usize,
    /// Octets of a message, as RFC 1870 counts them (`sizelimit`); none: any size.
    pub message: Option<u64>,
    /// Accepted recipients of a message (`maxrcpts`); at most [`MOST_RECIPIENTS`] count.
    pub recipients: usize,
    /// What those beyond are told: see [`Excess`].
    pub excess: Excess,
    /// 5xx replies in a session.
    pub errors: u32,
    /// 5xx replies before EHLO.
    pub errors_before_hello: u32,
    /// NOOP, RSET, HELP, VRFY, EXPN, EHLO, HELO and STARTTLS without a message between.
    pub idle_commands: u32,
    /// Transactions in a session.
    pub transactions: u32,
    /// Failed logins in a session.
    pub auth_failures: u32,
    /// How long a command may take to come whole (`esmtptimeout`).
    pub command_wait: Millis,
    /// How long a client may be silent inside a message (`esmtptimeoutdata`).
    pub data_wait: Millis,
    /// Octets a second of a message, on the average of [`RATE_WINDOW`].
    pub data_rate: u64,
    /// How long a whole AUTH may take.
    pub auth_wait: Millis,
    /// How long the host may take to answer a question.
    pub host_wait: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 4096,
            auth_line: 12288,
            message: Some(10 * 1024 * 1024),
            recipients: 100,
            excess: Excess::TryAgain,
            errors: 20,
            errors_before_hello: 10,
            idle_commands: 100,
            transactions: 1000,
            auth_failures: 3,
            command_wait: Millis::from_mins(10),
            data_wait: Millis::from_mins(5),
            data_rate: 500,
            auth_wait: Millis::from_secs(60),
            host_wait: Millis::from_mins(10),
        }
    }
}

impl Limits {
    /// Recipients of a message, never over [`MOST_RECIPIENTS`].
    #[must_use]
    pub fn recipients(&self) -> usize {
        self.recipients.min(MOST_RECIPIENTS)
    }
}

/// What recipients over the limit are told; the transaction goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// `431`: in another transaction they will be taken.
    TryAgain,
    /// `531`: never (`maxrcpts N hard`).
    Never,
}

/// Nobody may configure more recipients of one message.
pub const MOST_RECIPIENTS: usize = 10_000;
/// The average rate of a message is judged over so long a time of waiting.
pub const RATE_WINDOW: Millis = Millis::from_mins(5);
/// A TLS handshake may take so long.
pub const HANDSHAKE_WAIT: Millis = Millis::from_secs(15);

/// The first pause of the tar pit.
const TARPIT_FIRST: Millis = Millis::from_secs(8);
/// No pause of the tar pit is longer.
const TARPIT_LONGEST: Millis = Millis::from_secs(128);
/// All pauses of a session together.
const TARPIT_TOTAL: Millis = Millis::from_mins(10);

/// What a client has used up so far.
#[derive(Debug)]
pub(super) struct Budget {
    errors: u32,
    idle_commands: u32,
    transactions: u32,
    auth_failures: u32,
    pause: Millis,
    paused: Millis,
}

/// Whether a budget still has something left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Some,
    Nothing,
}

impl Left {
    fn after(used: u32, limit: u32) -> Self {
        if used > limit {
            Self::Nothing
        } else {
            Self::Some
        }
    }
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            errors: 0,
            idle_commands: 0,
            transactions: 0,
            auth_failures: 0,
            pause: TARPIT_FIRST,
            paused: Millis(0),
        }
    }

    /// Counts a 5xx reply; the last one that is allowed leaves nothing.
    pub(super) fn error(&mut self, limit: u32) -> Left {
        self.errors = self.errors.saturating_add(1);
        Left::after(self.errors.saturating_add(1), limit)
    }

    /// Counts a failed login in the same way; also says how long its reply waits
    /// (reliability.md section 5).
    pub(super) fn auth_failure(&mut self, limit: u32) -> (Left, Millis) {
        self.auth_failures = self.auth_failures.saturating_add(1);
        let left = Left::after(self.auth_failures.saturating_add(1), limit);
        (
            left,
            Millis::from_secs(u64::from(self.auth_failures.min(5))),
        )
    }

    /// Counts a command that moves no mail.
    pub(super) fn idle_command(&mut self, limit: u32) -> Left {
        self.idle_commands = self.idle_commands.saturating_add(1);
        Left::after(self.idle_commands, limit)
    }

    /// Counts a transaction.
    pub(super) fn transaction(&mut self, limit: u32) -> Left {
        self.transactions = self.transactions.saturating_add(1);
        Left::after(self.transactions, limit)
    }

    /// A message was accepted.
    pub(super) fn message(&mut self) {
        self.idle_commands = 0;
        self.pause = TARPIT_FIRST;
    }

    /// The next pause of the tar pit: 8 s, doubled each time up to 128 s, 10 min in all.
    pub(super) fn tarpit(&mut self) -> Millis {
        let pause = self.pause.min(TARPIT_TOTAL - self.paused);
        self.paused = self.paused + pause;
        self.pause = (self.pause + self.pause).min(TARPIT_LONGEST);
        pause
    }
}

/// Whether a client sends its message fast enough.
///
/// Only the time counts in which the session waits for the client: what the host takes
/// to store the message is not the client's fault.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when nothing has come.
    quiet_since: Option<Millis>,
    /// Since when this window's clock runs.
    waiting_since: Option<Millis>,
    /// What the clock had counted before.
    waited: Millis,
    /// What came in this window.
    octets: u64,
}

/// The client is silent or too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooSlow;

impl Pace {
    /// Octets have come.
    pub(super) fn received(&mut self, now: Millis, octets: usize) {
        self.quiet_since = None;
        self.octets = self.octets.saturating_add(octets as u64);
        if let Some(since) = self.waiting_since.take() {
            self.waited = self.waited + (now - since);
        }
    }

    /// Nothing is there: until when to wait.
    pub(super) fn wait(&mut self, now: Millis, limits: &Limits) -> Result<Millis, TooSlow> {
        let quiet_since = *self.quiet_since.get_or_insert(now);
        let silence = quiet_since + limits.data_wait;
        let waiting_since = *self.waiting_since.get_or_insert(now);
        if self.waited + (now - waiting_since) >= RATE_WINDOW {
            if self.octets < limits.data_rate.saturating_mul(RATE_WINDOW.0 / 1000) {
                return Err(TooSlow);
            }
            (self.waited, self.octets, self.waiting_since) = (Millis(0), 0, Some(now));
        }
        if now >= silence {
            return Err(TooSlow);
        }
        let window_from = self.waiting_since.unwrap_or(now);
        Ok(silence.min(window_from + (RATE_WINDOW - self.waited)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tar_pit_doubles_and_ends() {
        let mut budget = Budget::new();
        let pauses: Vec<u64> = (0..10).map(|_| budget.tarpit().0 / 1000).collect();
        assert_eq!(pauses, [8, 16, 32, 64, 128, 128, 128, 96, 0, 0]);
        assert_eq!(pauses.iter().sum::<u64>(), 600);
        let mut budget = Budget::new();
        budget.tarpit();
        budget.tarpit();
        budget.message();
        assert_eq!(budget.tarpit(), TARPIT_FIRST);
    }

    #[test]
    fn budgets_end_at_their_numbers() {
        let mut budget = Budget::new();
        let errors: Vec<Left> = (0..3).map(|_| budget.error(3)).collect();
        assert_eq!(errors, [Left::Some, Left::Some, Left::Nothing]);
        let idle: Vec<Left> = (0..4).map(|_| budget.idle_command(3)).collect();
        assert_eq!(idle, [Left::Some, Left::Some, Left::Some, Left::Nothing]);
    }

    #[test]
    fn silence_and_dribble_are_too_slow_and_the_hosts_time_is_not() {
        let limits = Limits::default();
        let minutes = Millis::from_mins;
        let mut silent = Pace::default();
        assert_eq!(silent.wait(minutes(0), &limits), Ok(minutes(5)));
        assert_eq!(silent.wait(minutes(5), &limits), Err(TooSlow));

        for (octets, result) in [(150_000, Ok(minutes(9))), (149_999, Err(TooSlow))] {
            let mut dribble = Pace::default();
            assert_eq!(dribble.wait(minutes(0), &limits), Ok(minutes(5)));
            dribble.received(minutes(4), octets);
            assert_eq!(dribble.wait(minutes(4), &limits), Ok(minutes(5)));
            assert_eq!(dribble.wait(minutes(5), &limits), result);
        }

        let mut busy_host = Pace::default();
        assert_eq!(busy_host.wait(minutes(0), &limits), Ok(minutes(5)));
        busy_host.received(minutes(1), 10);
        assert_eq!(busy_host.wait(minutes(60), &limits), Ok(minutes(64)));
    }
}
