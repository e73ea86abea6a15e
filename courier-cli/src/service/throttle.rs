//! Failed logins cost time: by address and by account (reliability.md section 2).
//!
//! Ten failures within ten minutes are free; from then on each answer to a wrong
//! login waits, 1 s doubling to 60 s. A right login never waits, so nobody can lock
//! out the owner of an account. The wait is a timer of that session, no thread.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::net::admission::network;

/// Remembers failed logins of all services.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    addresses: HashMap<IpAddr, Record>,
    accounts: HashMap<String, Record>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    count: u32,
    first: Instant,
}

impl Throttle {
    /// Counts a failure and says how long its answer must wait.
    pub fn failed(&self, client: IpAddr, account: Option<&str>, now: Instant) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        // An IPv4 address counts by itself, an IPv6 one by its /64.
        let address = match client.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            v6 @ IpAddr::V6(_) => network(v6),
        };
        let by_address = count(&mut failures.addresses, address, now);
        let by_account = account.map_or(0, |account| {
            count(&mut failures.accounts, account.to_owned(), now)
        });
        delay(by_address.max(by_account))
    }
}

/// Counts one more for this key within its window.
fn count<K: Eq + Hash>(records: &mut HashMap<K, Record>, key: K, now: Instant) -> u32 {
    if records.len() >= MOST && !records.contains_key(&key) {
        records.retain(|_, record| is_current(record, now));
        if records.len() >= MOST {
            // More attackers than there is room for: all start anew.
            records.clear();
        }
    }
    let fresh = Record {
        count: 0,
        first: now,
    };
    let record = records.entry(key).or_insert(fresh);
    if !is_current(record, now) {
        *record = fresh;
    }
    record.count = record.count.saturating_add(1);
    record.count
}

fn is_current(record: &Record, now: Instant) -> bool {
    now.saturating_duration_since(record.first) < WINDOW
}

fn delay(failures: u32) -> Duration {
    match failures.saturating_sub(FREE) {
        0 => Duration::ZERO,
        over => Duration::from_secs(1 << (over - 1).min(6)).min(LONGEST),
    }
}

/// Failures that cost nothing.
const FREE: u32 = 10;
/// Failures are counted over so long a time.
const WINDOW: Duration = Duration::from_secs(600);
/// No answer waits longer.
const LONGEST: Duration = Duration::from_secs(60);
/// Addresses and accounts that are remembered.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn ten_failures_are_free_then_the_wait_doubles_to_a_minute() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..19 {
            waits.push(throttle.failed(address("192.0.2.1"), None, now).as_secs());
        }
        assert_eq!(waits[..10], [0; 10]);
        assert_eq!(waits[10..], [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(
            throttle.failed(address("192.0.2.2"), None, now),
            Duration::ZERO
        );
        let later = now + WINDOW;
        assert_eq!(
            throttle.failed(address("192.0.2.1"), None, later),
            Duration::ZERO
        );
    }

    #[test]
    fn an_account_is_guarded_against_many_addresses() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for host in 0..10 {
            throttle.failed(address(&format!("192.0.2.{host}")), Some("ann"), now);
        }
        let wait = throttle.failed(address("198.51.100.1"), Some("ann"), now);
        assert_eq!(wait, Duration::from_secs(1));
    }

    #[test]
    fn hosts_of_one_ipv6_network_count_together() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for host in 1..=10 {
            throttle.failed(address(&format!("2001:db8::{host}")), None, now);
        }
        let wait = throttle.failed(address("2001:db8::ffff"), None, now);
        assert_eq!(wait, Duration::from_secs(1));
    }

    #[test]
    fn memory_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..25_000_u32 {
            let host = IpAddr::from(number.to_be_bytes());
            throttle.failed(host, Some(&number.to_string()), now);
        }
        let failures = throttle.failures.lock().expect("lock");
        assert!(failures.addresses.len() <= MOST && failures.accounts.len() <= MOST);
    }
}
