//! Who may open one more session: `MAXDAEMONS`, `MAXPERC`, `MAXPERIP`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The limits on sessions of one service (`courieresmtpd(8)`, `couriertcpd(8)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions in all (`MAXDAEMONS`).
    pub total: usize,
    /// Sessions from one /24 of IPv4 or /64 of IPv6 (`MAXPERC`).
    pub network: usize,
    /// Sessions from one address (`MAXPERIP`).
    pub address: usize,
}

/// Counts the sessions of one service.
#[derive(Debug)]
pub struct Admission {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    networks: HashMap<IpAddr, usize>,
    addresses: HashMap<IpAddr, usize>,
}

/// A session that was let in; it counts until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// Nobody is in yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::default(),
        })
    }

    /// Lets a client in, unless a limit is reached.
    #[must_use]
    pub fn admit(self: &Arc<Self>, client: IpAddr, limits: Limits) -> Option<Admitted> {
        let address = client.to_canonical();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = counts.addresses.get(&address).copied().unwrap_or(0);
        let of_network = counts.networks.get(&network(address)).copied().unwrap_or(0);
        if counts.total >= limits.total
            || of_network >= limits.network
            || of_address >= limits.address
        {
            return None;
        }
        counts.total += 1;
        counts.addresses.insert(address, of_address + 1);
        counts.networks.insert(network(address), of_network + 1);
        Some(Admitted {
            admission: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let lock = self.admission.counts.lock();
        let mut counts = lock.unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        release(&mut counts.addresses, self.address);
        release(&mut counts.networks, network(self.address));
    }
}

fn release(counts: &mut HashMap<IpAddr, usize>, key: IpAddr) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The /24 or /64 that an address lies in.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & 0xffff_ff00).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        total: 4,
        network: 3,
        address: 2,
    };

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_limit_holds_at_its_number() {
        let admission = Admission::new();
        let admit = |text| admission.admit(address(text), LIMITS);
        let first = admit("192.0.2.1").expect("first");
        let _second = admit("192.0.2.1").expect("second");
        assert!(admit("192.0.2.1").is_none(), "MAXPERIP");
        let _third = admit("192.0.2.2").expect("third");
        assert!(admit("192.0.2.3").is_none(), "MAXPERC");
        let _fourth = admit("198.51.100.1").expect("fourth");
        assert!(admit("203.0.113.1").is_none(), "MAXDAEMONS");
        drop(first);
        assert!(admit("203.0.113.1").is_some());
    }

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        let admission = Admission::new();
        let _a = admission.admit(address("192.0.2.1"), LIMITS);
        let _b = admission.admit(address("::ffff:192.0.2.1"), LIMITS);
        assert!(admission.admit(address("192.0.2.1"), LIMITS).is_none());
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let admission = Admission::new();
        drop(admission.admit(address("2001:db8::1"), LIMITS));
        let counts = admission.counts.lock().expect("lock");
        assert_eq!(counts.total, 0);
        assert!(counts.addresses.is_empty() && counts.networks.is_empty());
    }
}
