//! What `firegate dev` says when it is ready: where everything is, and three lines to paste that tell the whole story.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use anstyle::{AnsiColor, Style};
use url::Url;

use super::{Direct, Places, SEEDED_EMAIL, SEEDED_PASSWORD, Users};

/// An address that is never called: connecting a datagram socket to it sends nothing, and tells which address of this
/// machine would be used (RFC 5737, TEST-NET-1).
const NEVER_CALLED: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// For how many hosts of a URL map a request is shown: they are to be tried, and not read.
const HOSTS_TRIED_MAX: usize = 5;

/// The addresses of this machine in the local network.
pub(super) fn lan_addresses() -> Vec<IpAddr> {
    let address = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect(NEVER_CALLED).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    address().into_iter().filter(|address| !address.is_loopback() && !address.is_unspecified()).collect()
}

/// The welcome, with colours as escape sequences, which a stream that is no terminal leaves out.
pub fn welcome(places: &Places) -> String {
    let bold = Style::new().bold();
    let url = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
    let dim = Style::new().dimmed();
    let mut text = String::new();
    let origin = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    let (door, service, identity) = (origin(&places.door), origin(&places.service), origin(&places.identity));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{bold}firegate dev{bold:#} is ready for project {}\n", places.project);
    for (name, address, about) in [
        ("front door", &door, "your app calls this"),
        ("private service", &service, "behind Cloud Run's IAM check"),
        ("Google parts", &origin(&places.google), "metadata server, OAuth, STS, IAM Credentials"),
        ("identity server", &identity, "connectAuthEmulator(auth, …)"),
    ] {
        let _ = writeln!(text, "  {name:<16} {url}{address}{url:#}  {dim}{about}{dim:#}");
    }
    let (name, users) = match places.users {
        Users::Seeded => ("a user", format!("{SEEDED_EMAIL} / {SEEDED_PASSWORD}")),
        Users::Kept => (
            "a user",
            format!(
                "{SEEDED_EMAIL}, who does not sign in with {SEEDED_PASSWORD} any more: the kept account was changed"
            ),
        ),
        Users::OfEmulator => {
            ("users", "those of the emulator; its unsigned tokens count after a look-up".to_owned())
        }
    };
    let _ = writeln!(text, "  {name:<16} {users}");
    if !places.hosts.is_empty() {
        let hosts = places.hosts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "  {:<16} {hosts}  {dim}and localhost, and addresses; --host NAME adds one{dim:#}",
            "hosts"
        );
    }
    phone(&mut text, places, url);
    let requests = requests(places, &door, &service);
    let what = match (&places.direct, requests.len()) {
        (Some(_), _) => "the same request three times",
        (None, 1) => "a request",
        (None, _) => "a request for each of the URL map's hosts",
    };
    let _ = writeln!(text, "\n{bold}try it{bold:#}: a Firebase ID token, and {what}\n");
    token(&mut text, places, &identity, dim);
    for (command, about) in requests {
        let _ = writeln!(text, "{command}  {dim}# {about}{dim:#}");
    }
    if let Some(file) = &places.url_map_of {
        let _ = writeln!(
            text,
            "firegate explain -c {} --url http://HOST/PATH  {dim}# which route a request takes, and why{dim:#}",
            file.display()
        );
    }
    let kept = match (&places.data, places.users) {
        (Some(data), _) => format!("; users and keys are kept in {}", data.display()),
        (None, Users::OfEmulator) => String::new(),
        (None, Users::Seeded | Users::Kept) => {
            ", users, tokens and keys too: the next start makes new ones, unless --data DIRECTORY keeps them"
                .to_owned()
        }
    };
    let _ = writeln!(text, "\n{dim}Ctrl-C ends everything{kept}{dim:#}");
    text
}

/// The line that fetches an ID token.
fn token(text: &mut String, places: &Places, identity: &str, dim: Style) {
    let password = match places.users {
        Users::Seeded => SEEDED_PASSWORD,
        Users::Kept => {
            let _ =
                writeln!(text, "PASSWORD=…  {dim}# of {SEEDED_EMAIL}, or begin anew without --data{dim:#}");
            "'\"$PASSWORD\"'"
        }
        Users::OfEmulator => {
            let _ = writeln!(text, "TOKEN=…  {dim}# what getIdToken() gives{dim:#}");
            return;
        }
    };
    let _ = writeln!(
        text,
        "TOKEN=$(curl -s '{identity}/identitytoolkit.googleapis.com/v1/accounts:signInWithPassword?key=local' \
         -H 'Content-Type: application/json' \
         -d '{{\"email\":\"{SEEDED_EMAIL}\",\"password\":\"{password}\",\"returnSecureToken\":true}}' \
         | sed -n 's/.*\"idToken\": *\"\\([^\"]*\\)\".*/\\1/p')"
    );
}

/// The same request three times: what the question of this project asks, and the answer to it.
fn requests<'a>(places: &'a Places, door: &str, service: &str) -> Vec<(String, &'a str)> {
    let bearer = "-H \"Authorization: Bearer $TOKEN\"";
    let Some(Direct { host, path, expected }) = &places.direct else {
        let request = |host: &str| (format!("curl -i{host} {bearer} {door}/"), "through Firegate");
        // A URL map may have routes for its own hosts alone, and others for each.
        let hosts = places.hosts.iter().take(HOSTS_TRIED_MAX);
        let requests = hosts.map(|host| request(&format!(" -H 'Host: {host}'"))).collect::<Vec<_>>();
        return if requests.is_empty() { vec![request("")] } else { requests };
    };
    // The local Cloud Run front knows a service by the host that it has on the real one.
    let host = host.as_ref().map(|host| format!(" -H 'Host: {host}'")).unwrap_or_default();
    vec![
        (format!("curl -i{host} {bearer} {service}{path}"), &expected.direct),
        (format!("curl -i {bearer} {door}{path}"), &expected.through),
        (format!("curl -i{host} {service}{path}"), &expected.without),
    ]
}

fn phone(text: &mut String, places: &Places, url: Style) {
    let port = |url: &Url| url.port_or_known_default().unwrap_or_default();
    let (door, identity) = (port(&places.door), port(&places.identity));
    let emulator = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2))).filter(|_| places.is_lan);
    for (name, address) in places
        .lan_addresses
        .iter()
        .map(|address| ("on a phone", *address))
        .chain(emulator.map(|address| ("Android emulator", address)))
    {
        let _ = writeln!(
            text,
            "  {name:<16} {url}http://{address}:{door}{url:#}  connectAuthEmulator(auth, 'http://{address}:{identity}')"
        );
    }
}
