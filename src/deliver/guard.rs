//! What a webhook may be sent to: the rules for an endpoint's URL, and the table of addresses that are never dialled.
//!
//! The URL is judged when an endpoint is added, the address on every connection (see [`super::connector`]): a name that
//! was harmless yesterday can resolve to the machine next door today.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest URL taken.
const LONGEST_URL: usize = 2_048;

/// Last labels of names that live inside a network and never in public DNS.
const INNER_NAMES: [&str; 3] = ["local", "internal", "localhost"];

/// What the operator allows beyond the default, which is https to public addresses. Both are for private installations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Addresses and names inside the operator's own network.
    pub allow_private: bool,
    /// Unencrypted http.
    pub allow_http: bool,
}

/// Why a URL is refused. The texts are for the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusal {
    /// It does not parse, or is too long.
    #[error("must be an absolute URL of at most 2048 characters")]
    Malformed,
    /// What URL parsers drop or turn into something else without a word.
    #[error("must not contain white space, control characters or backslashes")]
    Character,
    /// Another scheme than https, or http where that is allowed.
    #[error("must begin with https://{}", if *.allow_http { " or http://" } else { "" })]
    Scheme {
        /// Whether http is allowed.
        allow_http: bool,
    },
    /// `user:password@`.
    #[error("must not contain a user name or password")]
    UserInfo,
    /// `#…`, which no server would ever see.
    #[error("must not contain a fragment")]
    Fragment,
    /// A port that other protocols than HTTP live on.
    #[error("the port must be {}443 or above 1023", if *.allow_http { "80, " } else { "" })]
    Port {
        /// Whether http is allowed, and with it its port.
        allow_http: bool,
    },
    /// A name or address that is not public.
    #[error("address not allowed")]
    Host,
}

impl Policy {
    /// Judges the URL of an endpoint that is to be added, and gives it parsed.
    ///
    /// It is parsed first and the parsed host is judged: the parser turns `2130706433`, `0x7f.1`, `127.1` and
    /// full-width digits into `127.0.0.1`.
    pub fn check_url(self, text: &str) -> Result<Url, UrlRefusal> {
        if text.len() > LONGEST_URL {
            return Err(UrlRefusal::Malformed);
        }
        if text.chars().any(is_altered) {
            return Err(UrlRefusal::Character);
        }
        let url = Url::parse(text).map_err(|_| UrlRefusal::Malformed)?;
        let allow_http = self.allow_http;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(UrlRefusal::Scheme { allow_http }),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefusal::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(UrlRefusal::Fragment);
        }
        let port = url.port_or_known_default().ok_or(UrlRefusal::Port { allow_http })?;
        if !self.allows_port(port) {
            return Err(UrlRefusal::Port { allow_http });
        }
        // The HTTP client's own idea of a URL is narrower than the parser's.
        if url.as_str().parse::<http::Uri>().is_err() {
            return Err(UrlRefusal::Malformed);
        }
        let allowed = match url.host().ok_or(UrlRefusal::Malformed)? {
            Host::Domain(name) => self.allow_private || is_public_name(name),
            Host::Ipv4(address) => self.allows(address.into()),
            Host::Ipv6(address) => self.allows(address.into()),
        };
        if allowed { Ok(url) } else { Err(UrlRefusal::Host) }
    }

    /// Whether a connection to this address may be made.
    pub fn allows(self, address: IpAddr) -> bool {
        self.allow_private || is_public(address)
    }

    const fn allows_port(self, port: u16) -> bool {
        port == 443 || port > 1_023 || (self.allow_http && port == 80)
    }
}

/// The parser strips some of these and takes a backslash for a slash: what is kept would not be what was given.
fn is_altered(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || letter == '\\'
}

/// Whether a name can be one of public DNS: at least two labels, the last not one of a private network's.
fn is_public_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.rsplit_once('.') {
        Some((_, last)) => !INNER_NAMES.contains(&last.to_ascii_lowercase().as_str()),
        None => false,
    }
}

/// Whether the address is globally reachable by IANA's special-purpose address registries.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

/// IPv4 blocks that are not globally reachable, or not to be reached by a webhook: (first address, prefix length).
const CLOSED_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),           // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // carrier-grade NAT; also some clouds' metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local; the clouds' metadata service
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
];

/// IPv6 blocks inside of global unicast (`2000::/3`) that are closed all the same.
const CLOSED_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo among them: hides an IPv4 address
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: hides an IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let address = address.to_bits();
    !CLOSED_V4
        .iter()
        .any(|(first, length)| (address ^ first.to_bits()) >> (32 - length) == 0)
}

/// Only global unicast can be public. Outside of it lie `::`, `::1`, IPv4-compatible addresses, NAT64 (`64:ff9b::/96`
/// and `64:ff9b:1::/48`, which hide an IPv4 address), `100::/64`, `5f00::/16`, `fc00::/7`, `fe80::/10`, `fec0::/10` and
/// `ff00::/8`.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let global = bits >> 125 == 0b001;
    global
        && !CLOSED_V6
            .iter()
            .any(|(first, length)| (bits ^ first.to_bits()) >> (128 - length) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Policy = Policy {
        allow_private: false,
        allow_http: false,
    };

    /// The first and the last address of every closed block.
    const CLOSED: &[&str] = &[
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "100.100.100.200",
        "127.0.0.0",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.192",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.0",
        "192.88.99.255",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::2",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:169.254.169.254",
        "64:ff9b::",
        "64:ff9b::8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        "100::",
        "100::ffff:ffff:ffff:ffff",
        "100:0:0:1::1",
        "2001::",
        "2001::1",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002::",
        "2002:7f00:1::",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "5f00::",
        "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fc00::",
        "fd00:ec2::254",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::",
        "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fec0::1",
        "ff00::",
        "ff02::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "1fff:ffff::",
        "4000::",
    ];

    /// The neighbours of the closed blocks, and some well-known hosts.
    const OPEN: &[&str] = &[
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2000::1",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700::1111",
        "3ffe::1",
        "3fff:1000::",
    ];

    #[test]
    fn a_refusal_names_the_rule_that_holds_here() {
        let told = |allow_http, url: &str| {
            let policy = Policy {
                allow_private: false,
                allow_http,
            };
            policy.check_url(url).unwrap_err().to_string()
        };
        assert_eq!(told(false, "ftp://hooks.example.com/"), "must begin with https://");
        assert_eq!(
            told(true, "ftp://hooks.example.com/"),
            "must begin with https:// or http://"
        );
        assert_eq!(
            told(false, "https://hooks.example.com:22/"),
            "the port must be 443 or above 1023"
        );
        assert_eq!(
            told(true, "https://hooks.example.com:22/"),
            "the port must be 80, 443 or above 1023"
        );
    }

    #[test]
    fn closed_addresses_are_never_dialled() {
        for text in CLOSED {
            assert!(!STRICT.allows(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_dialled() {
        for text in OPEN {
            assert!(STRICT.allows(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_private_installation_may_dial_every_address() {
        let private = Policy {
            allow_private: true,
            ..STRICT
        };
        for text in CLOSED.iter().chain(OPEN) {
            assert!(private.allows(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn ordinary_urls_are_taken() {
        for text in [
            "https://hooks.example.com/leads?token=x",
            "https://hooks.example.com:443",
            "https://hooks.example.com:8443/",
            "https://hooks.example.com:1024/",
            "https://HOOKS.example.com./",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
            "https://b\u{fc}cher.example.com/",
        ] {
            assert!(STRICT.check_url(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn urls_that_break_a_rule_are_refused_with_that_rule() {
        for (text, refusal) in [
            ("", UrlRefusal::Malformed),
            ("hooks.example.com", UrlRefusal::Malformed),
            ("https://", UrlRefusal::Malformed),
            ("https://hooks.example.com:99999/", UrlRefusal::Malformed),
            (" https://hooks.example.com/", UrlRefusal::Character),
            ("https://hooks.example.com/\n", UrlRefusal::Character),
            ("ht\ttps://hooks.example.com/", UrlRefusal::Character),
            ("https://hooks.example.com/a b", UrlRefusal::Character),
            ("https://hooks.example.com/\u{a0}", UrlRefusal::Character),
            ("https://hooks.example.com/\0", UrlRefusal::Character),
            ("https:\\\\hooks.example.com/", UrlRefusal::Character),
            ("https://hooks.example.com\\@example.org/", UrlRefusal::Character),
            ("http://hooks.example.com/", UrlRefusal::Scheme { allow_http: false }),
            ("ftp://hooks.example.com/", UrlRefusal::Scheme { allow_http: false }),
            ("file:///etc/passwd", UrlRefusal::Scheme { allow_http: false }),
            ("https://user@hooks.example.com/", UrlRefusal::UserInfo),
            ("https://:secret@hooks.example.com/", UrlRefusal::UserInfo),
            ("https://hooks.example.com/#here", UrlRefusal::Fragment),
            ("https://hooks.example.com:22/", UrlRefusal::Port { allow_http: false }),
            ("https://hooks.example.com:80/", UrlRefusal::Port { allow_http: false }),
            (
                "https://hooks.example.com:1023/",
                UrlRefusal::Port { allow_http: false },
            ),
            ("https://hooks.example.com:0/", UrlRefusal::Port { allow_http: false }),
        ] {
            assert_eq!(STRICT.check_url(text), Err(refusal), "{text}");
        }
        let long = format!("https://hooks.example.com/{}", "x".repeat(2_048));
        assert_eq!(STRICT.check_url(&long), Err(UrlRefusal::Malformed));
    }

    #[test]
    fn hosts_inside_a_network_are_refused_however_they_are_spelt() {
        for host in [
            "localhost",
            "localhost.",
            "LOCALHOST",
            "intranet",
            "intranet.",
            "printer.local",
            "printer.LOCAL.",
            "metadata.google.internal",
            "metadata.google.internal.",
            "app.localhost",
            "app.localhost.",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "127.0.0.1.",
            "169.254.169.254",
            "10.0.0.1",
            "0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::7f00:1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "loc\u{ad}alhost",
        ] {
            let text = format!("https://{host}/");
            assert_eq!(STRICT.check_url(&text), Err(UrlRefusal::Host), "{text}");
        }
    }

    #[test]
    fn what_the_operator_allows_is_taken() {
        let lax = Policy {
            allow_private: true,
            allow_http: true,
        };
        for text in [
            "http://receiver:3000/hook",
            "http://127.0.0.1:8080/",
            "http://receiver.local/",
            "https://[::1]:8443/",
        ] {
            assert!(lax.check_url(text).is_ok(), "{text}");
        }
        let http = Policy {
            allow_http: true,
            ..STRICT
        };
        assert!(http.check_url("http://hooks.example.com/").is_ok());
        assert_eq!(http.check_url("http://127.0.0.1:8080/"), Err(UrlRefusal::Host));
        let private = Policy {
            allow_private: true,
            ..STRICT
        };
        assert_eq!(
            private.check_url("http://receiver:3000/"),
            Err(UrlRefusal::Scheme { allow_http: false })
        );
    }
}
