//! What reading and evaluating an expression costs.
#![expect(clippy::expect_used, reason = "a benchmark may panic")]

use std::borrow::Cow;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use firegate_expr::{Attribute, Attributes, Dialect, Expression, Fact, Language, Value};
use serde_json::{Map, Value as Json, json};

struct Request {
    claims: Map<String, Json>,
}

impl Attributes for Request {
    fn attribute(&self, attribute: Attribute) -> Fact<'_> {
        match attribute {
            Attribute::OriginIp => Fact::Known(Value::Address(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)))),
            Attribute::OriginRegionCode => Fact::Known(Value::text("AU")),
            Attribute::RequestMethod => Fact::Known(Value::text("GET")),
            Attribute::RequestPath => Fact::Known(Value::text("/api/v1/users/7/orders")),
            Attribute::AuthUid => Fact::Known(Value::text("alice")),
            Attribute::RequestTime => Fact::Known(Value::time(1_793_615_400)),
            _ => Fact::Absent,
        }
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let agent: &[u8] = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0.0.0 Safari/537.36";
        (name == "user-agent").then_some(Cow::Borrowed(agent))
    }

    fn has_user(&self) -> bool {
        true
    }

    fn claim(&self, name: &str) -> Fact<'_> {
        self.claims.get(name).map(Value::from).into()
    }
}

const EXPRESSIONS: [(&str, Language, &str); 6] = [
    ("path", Language::Armor, "request.path.startsWith('/admin/')"),
    (
        "five terms",
        Language::Armor,
        "request.method == 'GET' && request.path.startsWith('/api/') && origin.region_code != 'US' && \
        has(request.headers['user-agent']) && !request.headers['user-agent'].contains('curl')",
    ),
    (
        "range",
        Language::Armor,
        "inIpRange(origin.ip, '203.0.113.0/24') || inIpRange(origin.ip, '2001:db8::/32')",
    ),
    ("pattern", Language::Armor, "request.path.matches('^/api/v[0-9]+/users/[0-9]+/(?:orders|carts)$')"),
    (
        "user",
        Language::Armor,
        "auth.token.role == 'admin' && 'billing' in auth.token.teams && auth.uid != 'bob'",
    ),
    (
        "time",
        Language::IamCondition,
        "request.time.getHours('Europe/Berlin') >= 9 && request.time.getDayOfWeek('Europe/Berlin') < 6",
    ),
];

fn benchmarks(criterion: &mut Criterion) {
    let claims = json!({"role": "admin", "teams": ["editor", "billing"]});
    let request = Request { claims: claims.as_object().cloned().expect("an object") };
    for (name, language, text) in EXPRESSIONS {
        let expression = Expression::parse(text, language, Dialect::Firegate).expect("a sound expression");
        criterion.bench_function(&format!("evaluate/{name}"), |bencher| {
            bencher.iter(|| black_box(&expression).evaluate(black_box(&request)));
        });
        criterion.bench_function(&format!("read/{name}"), |bencher| {
            bencher.iter(|| Expression::parse(black_box(text), language, Dialect::Firegate));
        });
    }
}

criterion_group!(expressions, benchmarks);
criterion_main!(expressions);
