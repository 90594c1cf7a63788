//! Loopback addresses in place of public ones, so that processes of this computer can listen on them.
//!
//! They are in 127.64.0.0/10, where nothing else listens by default. Each is a number: no address is given twice until
//! all [`COUNT`] were given.

use std::net::Ipv4Addr;

/// How many addresses there are. None ends with 0 or 255.
pub(crate) const COUNT: u32 = 64 * 256 * 254;

/// The address with that number.
pub(crate) fn address(number: u32) -> Ipv4Addr {
    let number = number % COUNT;
    let (network, host) = (number / 254, number % 254);
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 64, 0, 1)) + (network << 8) + host)
}

#[cfg(test)]
mod tests {
    use super::{COUNT, address};

    #[test]
    fn every_number_has_an_address_of_its_own() {
        let all: std::collections::BTreeSet<_> = (0..COUNT).map(address).collect();
        assert_eq!(all.len(), usize::try_from(COUNT).unwrap());
        assert!(all.iter().all(|a| matches!(a.octets(), [127, 64..=127, _, 1..=254])));
    }
}
