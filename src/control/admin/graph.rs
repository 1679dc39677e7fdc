//! `/__erulb__/graph`: the rules of one domain, to be drawn.
//!
//! It owns the way to them: nobody has to get the rule sets of all domains for one. The drawing is made aside, as rules are read for
//! it. Next: [`crate::explain::Drawing`].

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::answer::{self, Answer, Failure};
use super::servers::word;
use crate::control::handle::HubHandle;
use crate::control::heat::Step;
use crate::explain::Drawing;
use crate::stats::END;

/// `{"domain", "rules": [{"name", "type", "about", "is_reached", "heat", "links": [{"word", "to", "heat"}, …]}, …], "given": rule set}`.
pub(super) async fn get(State(hub): State<HubHandle>, uri: Uri) -> Answer {
    let Some(domain) = word(&uri, "domain") else {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "say which: ?domain=NAME, as it was put"));
    };
    let name = domain.clone();
    let asked = hub.ask_now(move |hub, now| Some((hub.rules_of(&name)?, hub.heat(&name, now))));
    let Some((text, steps)) = asked.await? else {
        return Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no domain {domain:?}")));
    };
    let drawn = hub.aside(move || {
        let given: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut drawn = Drawing::read(&domain, &given).map(|drawing| drawing.json())?;
        drawn["given"] = given;
        warm(&mut drawn, &steps);
        Ok(drawn)
    });
    let drawn: Result<Value, crate::model::Fault> = drawn.await?;
    // What is in force was read before, so a fault in it is none of whoever asks.
    let fault = |fault| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, json!(format!("{fault}")));
    Ok(answer::json(&drawn.map_err(fault)?))
}

/// Puts the shares of the last hour to the links of a drawing, of all its requests that were looked at: of those that took a
/// link, and of those whose way ended at a rule. Where none was looked at they are null.
fn warm(drawn: &mut Value, steps: &[Step]) {
    let all: u64 = steps.iter().filter(|step| step.successor == END).map(|step| step.times).sum();
    let share = |rule: &str, successor: usize| {
        let step = steps.iter().find(|step| *step.rule == *rule && usize::from(step.successor) == successor);
        (all > 0).then(|| step.map_or(0, |step| step.times) as f64 / all as f64)
    };
    for rule in drawn["rules"].as_array_mut().into_iter().flatten() {
        let name = rule["name"].as_str().unwrap_or_default().to_owned();
        rule["heat"] = json!(share(&name, END.into()));
        for (place, link) in rule["links"].as_array_mut().into_iter().flatten().enumerate() {
            // A rule may have one of the two; arms are in order.
            let successor = match link["word"].as_str() {
                Some("fail") => 0,
                Some("succ") => 1,
                _ => place,
            };
            link["heat"] = json!(share(&name, successor));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_requests_that_were_looked_at() {
        let drawing = || {
            json!({"rules": [
                {"name": "a", "links": [{"word": "fail"}]}, {"name": "b", "links": []}]})
        };
        let step = |rule: &str, successor, times| Step { rule: rule.into(), successor, times };
        let mut drawn = drawing();
        warm(&mut drawn, &[step("a", 0, 3), step("a", END, 1), step("b", END, 3)]);
        let expected = json!({"rules": [
            {"name": "a", "heat": 0.25, "links": [{"word": "fail", "heat": 0.75}]},
            {"name": "b", "heat": 0.75, "links": []}]});
        assert_eq!(drawn, expected);
        let mut cold = drawing();
        warm(&mut cold, &[]);
        assert_eq!(cold["rules"][0]["links"][0]["heat"], Value::Null);
    }
}
