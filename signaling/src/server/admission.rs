//! How many connections there are, in all and of each address (threat-model S5, S15).
//!
//! Invariant: an address is in the table exactly while it has connections, with their number.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

/// Who is connected.
pub(super) struct Admission {
    per_address_max: usize,
    total_max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    total: usize,
    addresses: BTreeMap<IpAddr, usize>,
}

/// Why a connection is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The address has its share.
    Address,
    /// The server has all it can hold.
    Full,
}

impl Admission {
    pub(super) fn new(per_address_max: usize, total_max: usize) -> Self {
        Self { per_address_max, total_max, table: Mutex::default() }
    }
}

/// One admitted connection.
pub(super) struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Permit {
    pub(super) fn of(admission: &Arc<Admission>, address: IpAddr) -> Result<Self, Refused> {
        let address = household(address);
        let mut table = admission.table.lock().expect("nothing panics under this lock");
        if table.total >= admission.total_max {
            return Err(Refused::Full);
        }
        let here = table.addresses.get(&address).copied().unwrap_or(0);
        if here >= admission.per_address_max {
            return Err(Refused::Address);
        }
        table.addresses.insert(address, here + 1);
        table.total += 1;
        Ok(Self { admission: admission.clone(), address })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut table = self.admission.table.lock().expect("nothing panics under this lock");
        table.total -= 1;
        let here = table.addresses.get_mut(&self.address).expect("a permit's address is in the table");
        *here -= 1;
        if *here == 0 {
            table.addresses.remove(&self.address);
        }
    }
}

/// What is likely one customer of a provider: an IPv4 address, or an IPv6 /64.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_shares_are_per_address_and_per_64() {
        let admission = Arc::new(Admission::new(2, 5));
        let admit = |address: &str| Permit::of(&admission, address.parse().unwrap());
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
        assert_eq!(admission.table.lock().unwrap().total, 4);
    }
}
