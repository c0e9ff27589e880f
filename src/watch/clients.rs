//! The clients of the live page, and how many connections each may have: one that holds all it can get keeps no other out.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections of one client at a time; a browser opens six.
pub(super) const PER_CLIENT: usize = 32;

/// Who holds the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    /// A user of this machine, where the system tells which.
    User(u32),
    /// An address: all connections come from this machine, so this is one client, or a few.
    Address(IpAddr),
}

impl Client {
    fn of(peer: SocketAddr, own: SocketAddr) -> Client {
        // Linux has the owner of every socket in one table.
        let user = || user_in(&std::fs::read_to_string("/proc/net/tcp").ok()?, peer, own);
        user().map_or(Client::Address(peer.ip()), Client::User)
    }
}

/// The user of the socket from `peer` to `own` in the table /proc/net/tcp.
fn user_in(table: &str, peer: SocketAddr, own: SocketAddr) -> Option<u32> {
    let (SocketAddr::V4(peer), SocketAddr::V4(own)) = (peer, own) else { return None };
    // The address is the number that its four bytes are in memory, the port is a number.
    let written = |at: SocketAddrV4| format!("{:08X}:{:04X}", u32::from_ne_bytes(at.ip().octets()), at.port());
    let (peer, own) = (written(peer), written(own));
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, from, to, _, _, _, _, user, ..] = fields[..] else { return None };
        (from == peer && to == own).then(|| user.parse().ok())?
    })
}

/// The connections that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<Client, usize>>>);

impl Clients {
    /// A place for a connection, which is free again when it is dropped; `None` if its client has as many as it may have.
    pub(super) fn admit(&self, peer: SocketAddr, own: SocketAddr) -> Option<Place> {
        let client = Client::of(peer, own);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_default();
        if *count >= PER_CLIENT {
            return None;
        }
        *count += 1;
        Some(Place { clients: self.clone(), client })
    }
}

/// The place of a connection.
#[derive(Debug)]
pub(super) struct Place {
    clients: Clients,
    client: Client,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn at(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port))
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_owner_of_a_socket_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     0: 0100007F:181E 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n\
                     1: 0100007F:181E 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1\n\
                     2: 0100007F:C350 0100007F:181E 01 00000000:00000000 00:00000000 00000000  1000        0 3 1\n";
        assert_eq!(user_in(table, at(1, 50_000), at(1, 6174)), Some(1000));
        assert_eq!(user_in(table, at(1, 50_001), at(1, 6174)), None);
        assert_eq!(user_in("", at(1, 50_000), at(1, 6174)), None);
    }

    #[test]
    fn one_client_does_not_take_the_places_of_another() {
        let clients = Clients::default();
        // No socket of these is in the system's table.
        let admit = |last| clients.admit(at(last, 1), at(1, 2));
        let mut places: Vec<Place> = (0..PER_CLIENT).map(|_| admit(2).expect("a place")).collect();
        assert!(admit(2).is_none() && admit(3).is_some());
        places.pop();
        assert!(admit(2).is_some(), "a place that was given back");
        drop(places);
        assert!(clients.0.lock().unwrap().is_empty());
    }
}
