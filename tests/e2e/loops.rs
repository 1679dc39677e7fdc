//! A request that comes back to where it was ends soon, and holds no more than its rounds.

use serde_json::json;

use crate::resources::until_all;
use crate::support::client::get;
use crate::support::elb::{Elb, Launch};
use crate::support::exact::{pair, refused};
use crate::support::rules::{self, SITE};

/// Lets this ELB send [`SITE`] there.
fn point(elb: &Elb, to: &Elb) {
    elb.admin().put("upstream", &json!({"up": {to.address().to_string(): ""}}));
    elb.admin().put("domain", &json!({SITE: rules::to("up")}));
}

fn empty() -> Elb {
    Launch::serving(&json!({"domains": {}, "upstreams": {}})).workers(1).start()
}

#[test]
fn a_request_that_goes_in_a_circle_is_508() {
    // A request that has been forwarded 33 times is refused before the rules are asked.
    let own = empty();
    point(&own, &own);
    let (one, other) = (empty(), empty());
    point(&one, &other);
    point(&other, &one);
    for (elb, rounds) in [(&own, 33), (&one, 17)] {
        let answer = elb.client().ask(get(SITE, "/"));
        assert_eq!((answer.status(), answer.head.get("X-ELB-Reason")), (508, Some("loop")));
        until_all(elb, "the rounds to be counted", |all| all["requests"] == rounds && all["exchanges"] == 0);
    }
}

#[test]
fn the_bound_is_a_setting() {
    let (server, elb) = pair();
    let ask = |lists: &[usize]| {
        let fields: String = lists
            .iter()
            .map(|count| format!("X-Forwarded-For: {}\r\n", vec!["192.0.2.1"; *count].join(", ")))
            .collect();
        format!("GET / HTTP/1.1\r\nHost: site.test\r\n{fields}\r\n")
    };
    for good in [&[32][..], &[16, 16], &[]] {
        assert_eq!(elb.client().ask(ask(good)).status(), 200, "{good:?}");
    }
    let seen = server.requests().len();
    for circle in [&[33][..], &[16, 17], &[1000]] {
        refused(&elb, 508, "loop", ask(circle).as_bytes());
    }
    assert_eq!(server.requests().len(), seen);
    for (flag, most) in [("--max-forwarded=2", 2), ("--max-forwarded=0", 500)] {
        let elb = Launch::serving(&rules::site(&[&server])).flag(flag).start();
        assert_eq!(elb.client().ask(ask(&[most])).status(), 200, "{flag}");
        if most == 2 {
            refused(&elb, 508, "loop", ask(&[3]).as_bytes());
        }
    }
}
