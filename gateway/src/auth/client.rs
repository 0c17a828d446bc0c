//! Which address a request comes from, also behind proxies.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::Deserialize;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// The other end of the TCP connection, as the listener saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Which header the proxies in front write. Only that one is read: the other would be the client's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies that may say for whom they ask.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their addresses.
    pub trusted: Vec<IpNet>,
    /// How they say it.
    pub header: ForwardedHeader,
}

/// A client as rate limits see it: an IPv4 address, or the /64 that an IPv6 customer has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let mut segments = address.segments();
                segments[4..].fill(0);
                Ipv6Addr::from(segments).into()
            }
        })
    }
}

impl Proxies {
    /// The nearest address that is not a trusted proxy's: everything further away is somebody's claim.
    pub(crate) fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let mut hops = self.hops(headers);
        while self.trusts(client) {
            // What cannot be read hides who is behind it; the proxy that sent it then stands for them all.
            match hops.pop().and_then(|hop| address_of(&hop)) {
                Some(next) => client = next,
                None => break,
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The addresses in the order in which they were added, farthest first.
    fn hops(&self, headers: &HeaderMap) -> Vec<String> {
        if self.trusted.is_empty() {
            return Vec::new();
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => FORWARDED,
        };
        let values = headers.get_all(name).into_iter();
        let elements = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
        let hops = elements.map(|element| match self.header {
            ForwardedHeader::XForwardedFor => element.trim().to_owned(),
            ForwardedHeader::Forwarded => for_of(element),
        });
        hops.collect()
    }
}

/// The `for` of one element of `Forwarded`; empty when it has none.
fn for_of(element: &str) -> String {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let node = nodes.next().map_or("", |(_, node)| node.trim());
    node.trim_matches('"').to_owned()
}

/// An address with or without a port, IPv6 with or without brackets.
fn address_of(node: &str) -> Option<IpAddr> {
    let bare = match node.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if node.matches(':').count() == 1 => node.split_once(':')?.0,
        None => node,
    };
    Some(bare.parse::<IpAddr>().ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        let long = "X-Forwarded-For";
        for (trusted, header, peer, sent, expected) in [
            ("", XForwardedFor, "9.9.9.9", (long, "1.1.1.1"), "9.9.9.9"),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "9.9.9.9",
                (long, "1.1.1.1"),
                "9.9.9.9",
            ),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "10.0.0.1",
                (long, "1.1.1.1"),
                "1.1.1.1",
            ),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "::ffff:10.0.0.1",
                (long, "1.1.1.1"),
                "1.1.1.1",
            ),
            // The client wrote the first one itself.
            (
                "10.0.0.0/8",
                XForwardedFor,
                "10.0.0.1",
                (long, "6.6.6.6, 1.1.1.1"),
                "1.1.1.1",
            ),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "10.0.0.1",
                (long, "1.1.1.1, 10.0.0.2"),
                "1.1.1.1",
            ),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "10.0.0.1",
                (long, "1.1.1.1:443"),
                "1.1.1.1",
            ),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "10.0.0.1",
                (long, "[2001:db8::1]:9"),
                "2001:db8::1",
            ),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "10.0.0.1",
                (long, "junk"),
                "10.0.0.1",
            ),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "10.0.0.1",
                (long, "1.1.1.1, junk"),
                "10.0.0.1",
            ),
            (
                "10.0.0.0/8",
                XForwardedFor,
                "10.0.0.1",
                ("Forwarded", "for=6.6.6.6"),
                "10.0.0.1",
            ),
            (
                "::1/128",
                Forwarded,
                "::1",
                ("Forwarded", "for=\"[2001:db8::2]:1\";proto=https"),
                "2001:db8::2",
            ),
            (
                "::1/128",
                Forwarded,
                "::1",
                ("Forwarded", "for=6.6.6.6, proto=http;FOR=1.1.1.1"),
                "1.1.1.1",
            ),
            (
                "::1/128",
                Forwarded,
                "::1",
                ("Forwarded", "for=1.1.1.1, by=2.2.2.2"),
                "::1",
            ),
            ("::1/128", Forwarded, "::1", (long, "6.6.6.6"), "::1"),
        ] {
            let proxies = Proxies {
                trusted: trusted
                    .split_terminator(',')
                    .map(|net| net.parse().unwrap())
                    .collect(),
                header,
            };
            let mut headers = HeaderMap::new();
            let name: HeaderName = sent.0.parse().unwrap();
            headers.insert(name, sent.1.parse().unwrap());
            let client = proxies.client_of(peer.parse().unwrap(), &headers);
            assert_eq!(client.to_string(), expected, "{trusted} {peer} {sent:?}");
        }
    }

    #[test]
    fn a_client_is_an_address_or_a_customers_network() {
        let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(network("1.2.3.4"), network("::ffff:1.2.3.4"));
        assert_ne!(network("1.2.3.4"), network("1.2.3.5"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }
}
