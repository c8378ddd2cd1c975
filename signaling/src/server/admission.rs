//! How many connections there are, in all, of each network and of each worker (threat-model S5, S15).
//!
//! Invariant: a network, which is an IPv4 address or an IPv6 /64, is in the table exactly while it has connections, with their number.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::StatusCode;

use super::counters::Count;
use crate::Network;

/// Who is connected.
pub(super) struct Admission {
    per_address_max: usize,
    total_max: usize,
    table: Mutex<Table>,
}

struct Table {
    total: usize,
    networks: BTreeMap<Network, usize>,
    /// Connections of each worker.
    workers: Vec<usize>,
}

/// Why a connection is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The address has its share.
    Address,
    /// The server has all it can hold.
    Full,
    /// Too many come at once.
    Rate,
    /// The server stops.
    Stopping,
}

impl Refused {
    /// How it is counted, the status that tells it, and the seconds of which one is drawn until the client should come
    /// again: drawn, so that not all come at once.
    pub(super) fn terms(self) -> (Count, StatusCode, Range<u64>) {
        match self {
            Refused::Address => (Count::RefusedAddress, StatusCode::TOO_MANY_REQUESTS, 30..60),
            Refused::Full => (Count::RefusedFull, StatusCode::SERVICE_UNAVAILABLE, 60..120),
            Refused::Rate => (Count::RefusedRate, StatusCode::SERVICE_UNAVAILABLE, 2..10),
            Refused::Stopping => (Count::RefusedStopping, StatusCode::SERVICE_UNAVAILABLE, 2..10),
        }
    }
}

impl Admission {
    pub(super) fn new(per_address_max: usize, total_max: usize, workers: usize) -> Self {
        let table = Table { total: 0, networks: BTreeMap::new(), workers: vec![0; workers] };
        Self { per_address_max, total_max, table: table.into() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics under this lock")
    }
}

impl Table {
    fn claim(&mut self, network: Network, most: usize) -> Result<(), Refused> {
        let here = self.networks.entry(network).or_default();
        if *here >= most {
            return Err(Refused::Address);
        }
        *here += 1;
        Ok(())
    }

    fn release(&mut self, network: Network) {
        let here = self.networks.get_mut(&network).expect("a permit's network is in the table");
        *here -= 1;
        if *here == 0 {
            self.networks.remove(&network);
        }
    }
}

/// One admitted connection.
pub(super) struct Permit {
    admission: Arc<Admission>,
    /// None for a proxy's connection, as long as it is not known who stands behind it.
    network: Option<Network>,
    worker: usize,
}

impl Permit {
    /// Admits a connection, and chooses the worker that has the fewest. Without an address it counts in the total only.
    pub(super) fn of(admission: &Arc<Admission>, address: Option<IpAddr>) -> Result<Self, Refused> {
        let network = address.map(Network::from);
        let mut table = admission.table();
        if table.total >= admission.total_max {
            return Err(Refused::Full);
        }
        if let Some(network) = network {
            table.claim(network, admission.per_address_max)?;
        }
        table.total += 1;
        let workers = table.workers.iter_mut().enumerate();
        let (worker, load) = workers.min_by_key(|(_, load)| **load).expect("there is a worker");
        *load += 1;
        Ok(Self { admission: admission.clone(), network, worker })
    }

    /// The worker that has the connection.
    pub(super) fn worker(&self) -> usize {
        self.worker
    }

    /// Counts the connection to this address from now on.
    pub(super) fn claim(&mut self, address: IpAddr) -> Result<(), Refused> {
        let network = Network::from(address);
        if self.network != Some(network) {
            let mut table = self.admission.table();
            table.claim(network, self.admission.per_address_max)?;
            if let Some(before) = self.network.replace(network) {
                table.release(before);
            }
        }
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut table = self.admission.table();
        table.total -= 1;
        table.workers[self.worker] -= 1;
        if let Some(network) = self.network {
            table.release(network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn s15_shares_are_per_address_and_per_64() {
        let admission = Arc::new(Admission::new(2, 5, 1));
        let admit = |text: &str| Permit::of(&admission, address(text));
        let first = admit("10.0.0.1").ok();
        let _mapped = admit("::ffff:10.0.0.1").expect("the second of that address");
        assert_eq!(admit("10.0.0.1").err(), Some(Refused::Address));
        let _six =
            [admit("2001:db8::1").ok(), admit("2001:db8::ffff:2").ok()].map(|permit| permit.expect("two of a /64"));
        assert_eq!(admit("2001:db8::3").err(), Some(Refused::Address));
        let _other = admit("2001:db8:0:1::1").expect("another /64");
        assert_eq!(admit("10.0.0.2").err(), Some(Refused::Full));
        drop(first);
        assert!(admit("10.0.0.1").is_ok());
        assert_eq!(admission.table().total, 4);
    }

    #[test]
    fn s15_who_comes_through_a_proxy_is_counted_once_known() {
        let admission = Arc::new(Admission::new(1, 5, 1));
        let [mut first, mut second] = [(); 2].map(|()| Permit::of(&admission, None).expect("counts in the total only"));
        let (client, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert_eq!((first.claim(client), first.claim(client)), (Ok(()), Ok(())));
        assert_eq!(second.claim(client), Err(Refused::Address));
        assert_eq!((first.claim(other), second.claim(client)), (Ok(()), Ok(())));
        drop((first, second));
        let table = admission.table();
        assert_eq!((table.total, table.networks.len()), (0, 0));
    }

    #[test]
    fn the_worker_with_the_fewest_connections_gets_the_next() {
        let admission = Arc::new(Admission::new(9, 9, 3));
        let admit = || Permit::of(&admission, None).unwrap();
        let mut permits: Vec<Permit> = (0..6).map(|_| admit()).collect();
        assert_eq!(permits.iter().map(Permit::worker).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        permits.remove(4);
        assert_eq!(admit().worker(), 1);
    }
}
