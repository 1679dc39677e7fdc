//! Asks the DNS servers that the settings name, and no others.
//!
//! It owns what an answer comes to, never when a name is asked for. Both kinds of address are asked for, and a name has
//! what came of both, as the system's resolver has it: a server that cannot answer for one kind takes nothing of the other
//! away. The file of hosts and the search list are the system's, and are not looked at. Next:
//! [`lookups`](super::lookups) says when, [`resolve`](super::resolve) what becomes of it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::Rcode;
use domain::base::{Message, Name, Rtype};
use domain::rdata::{A, Aaaa};
use domain::resolv::StubResolver;
use domain::resolv::stub::Answer;
use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};

use super::lookups::Ask;

/// How long all servers together may take for one question; after a while without an answer the next server is asked.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks these servers.
pub(super) fn ask(servers: &[SocketAddr]) -> Ask {
    let mut conf = ResolvConf::new();
    conf.servers = servers.iter().map(|server| ServerConf::new(*server, Transport::UdpTcp)).collect();
    conf.options.timeout = ANSWER;
    conf.finalize();
    let resolver = Arc::new(StubResolver::from_conf(conf));
    Arc::new(move |name| {
        let resolver = Arc::clone(&resolver);
        Box::pin(async move { look_up(&resolver, &name).await })
    })
}

async fn look_up(resolver: &StubResolver, name: &str) -> io::Result<Vec<SocketAddr>> {
    let fault = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{what} in the name"));
    let (host, port) = name.rsplit_once(':').ok_or_else(|| fault("no port"))?;
    let port: u16 = port.parse().map_err(|_| fault("no port"))?;
    if is_local(host) {
        return Ok((IpAddr::from([127, 0, 0, 1]), port).to_socket_addrs()?.collect());
    }
    let asked = Name::<Vec<u8>>::vec_from_str(host).map_err(|error| fault(&error.to_string()))?;
    let (v4, v6) = tokio::join!(resolver.query((&asked, Rtype::A)), resolver.query((&asked, Rtype::AAAA)));
    let read = |answer: io::Result<Answer>| answer.and_then(|answer| addresses(answer.for_slice_ref()));
    let found = match (read(v4), read(v6)) {
        (Ok(v4), Ok(v6)) => [v4, v6].concat(),
        (Ok(some), Err(_)) | (Err(_), Ok(some)) if !some.is_empty() => some,
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

/// The machine itself, whatever a server says (RFC 6761, section 6.3).
fn is_local(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost")
}

/// The addresses in an answer: those of the name that was asked for, or that it is another name for. A name that is not
/// there has none.
fn addresses(answer: Message<&[u8]>) -> io::Result<Vec<IpAddr>> {
    match answer.header().rcode() {
        Rcode::NOERROR | Rcode::NXDOMAIN => {}
        code => return Err(io::Error::other(format!("the DNS server says {code}"))),
    }
    let malformed = |_| io::Error::new(io::ErrorKind::InvalidData, "the DNS server's answer is malformed");
    let Some(owner) = answer.canonical_name() else { return Err(io::Error::other("a circle of names")) };
    let section = answer.answer().map_err(malformed)?;
    let mut found = Vec::new();
    for record in section.limit_to_in::<A>() {
        let record = record.map_err(malformed)?;
        found.extend((*record.owner() == owner).then(|| IpAddr::V4(record.data().addr())));
    }
    for record in section.limit_to_in::<Aaaa>() {
        let record = record.map_err(malformed)?;
        found.extend((*record.owner() == owner).then(|| IpAddr::V6(record.data().addr())));
    }
    Ok(found)
}
