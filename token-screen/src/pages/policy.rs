//! The policy, for admins: what a change of it would refuse is told before it is set.

use std::time::Duration;

use askama::Template;
use token_core::{ManageError, Policy, Rehearsal};

use crate::form::{Form, Unreadable};
use crate::http::Response;
use crate::words as w;

use super::changing::{fault, nonce_fault};
use super::frame::{Faults, Frame, page};
use super::{Refused, Visit};

const ACTION: &str = "policy";

/// The fields, as they were filled in.
#[derive(Debug)]
struct Fields {
    live: String,
    max_lifetime: String,
    never_expires: bool,
    default_lifetime: String,
    max_overlap: String,
    default_overlap: String,
}

#[derive(Template)]
#[template(path = "policy.html", whitespace = "minimize")]
struct PolicyPage<'a> {
    frame: Frame<'a>,
    fields: Fields,
    rehearsal: Option<Rehearsal>,
    faults: Faults,
    nonce: String,
    sign_in_again: Option<Option<String>>,
}

impl Fields {
    fn of(policy: &Policy) -> Fields {
        Fields {
            live: policy.live_tokens_per_owner.to_string(),
            max_lifetime: policy.max_lifetime.map(w::span).unwrap_or_default(),
            never_expires: policy.never_expires,
            default_lifetime: w::span(policy.default_lifetime),
            max_overlap: w::span(policy.max_overlap),
            default_overlap: w::span(policy.default_overlap),
        }
    }

    fn read(form: &mut Form) -> Result<Fields, Unreadable> {
        Ok(Fields {
            live: form.text("live")?,
            max_lifetime: form.text("max_lifetime")?,
            never_expires: form.ticked("never_expires")?,
            default_lifetime: form.text("default_lifetime")?,
            max_overlap: form.text("max_overlap")?,
            default_overlap: form.text("default_overlap")?,
        })
    }

    /// The policy that is meant, with what is not on this page as it is.
    fn policy(&self, present: Policy) -> Result<Policy, Faults> {
        let mut faults = Faults::default();
        let live = self.live.trim().parse().map_err(|_| faults.add("live", w::NUMBER_NEEDED)).ok();
        let mut span = |field: &'static str, text: &str| {
            let span = span(text);
            if span.is_none() {
                faults.add(field, w::SPAN_NEEDED);
            }
            span
        };
        let max_lifetime = match self.max_lifetime.trim() {
            "" => Some(None),
            text => span("max_lifetime", text).map(Some),
        };
        let spans = (
            span("default_lifetime", &self.default_lifetime),
            span("max_overlap", &self.max_overlap),
            span("default_overlap", &self.default_overlap),
        );
        match (live, max_lifetime, spans) {
            (Some(live), Some(max_lifetime), (Some(default_lifetime), Some(max_overlap), Some(default_overlap))) => {
                Ok(Policy {
                    live_tokens_per_owner: live,
                    max_lifetime,
                    never_expires: self.never_expires,
                    default_lifetime,
                    max_overlap,
                    default_overlap,
                    ..present
                })
            }
            _ => Err(faults),
        }
    }
}

/// A duration as people write it: a whole number and a unit, such as `90 d`.
fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim() {
        "d" | "day" | "days" => 24 * 60 * 60,
        "h" | "hour" | "hours" => 60 * 60,
        "min" | "minute" | "minutes" => 60,
        "s" | "second" | "seconds" => 1,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

pub(super) async fn answer(visit: &Visit<'_>) -> Result<Response, Refused> {
    let present = visit.manage().policy().await;
    if !visit.is_post() {
        visit.query()?.done()?;
        // One that was tampered with is set anew from the defaults.
        let (present, faults) = match present {
            Ok(present) => (present, Faults::default()),
            Err(ManageError::BrokenSeal(error)) => {
                (Policy::default(), Faults::one("form", w::sentence(&error.to_string())))
            }
            Err(error) => return Err(error.into()),
        };
        return show(visit, Fields::of(&present), None, faults, false);
    }
    let present = match present {
        Ok(present) => present,
        Err(ManageError::BrokenSeal(_)) => Policy::default(),
        Err(error) => return Err(error.into()),
    };
    let (mut form, nonce) = visit.sent()?;
    let fields = Fields::read(&mut form)?;
    let sets = match form.text("do")?.as_str() {
        "rehearse" => false,
        "set" => true,
        _ => return Err(Refused::Unreadable),
    };
    form.done()?;
    let policy = match fields.policy(present) {
        Ok(policy) => policy,
        Err(faults) => return show(visit, fields, None, faults, false),
    };
    if !sets {
        return match visit.manage().rehearse(&policy).await {
            Ok(rehearsal) => show(visit, fields, Some(rehearsal), Faults::default(), false),
            Err(error) => show(visit, fields, None, fault(error, &[])?, false),
        };
    }
    if !visit.fresh {
        return show(visit, fields, None, Faults::default(), true);
    }
    let redeemed = match visit.redeem(nonce, ACTION) {
        Ok(redeemed) => redeemed,
        Err(error) => return show(visit, fields, None, nonce_fault(error), false),
    };
    let present = match redeemed.manage(visit).set_policy(&policy).await {
        Ok(present) => present,
        Err(ManageError::ChangeIdReused) => visit.manage().policy().await?,
        Err(error) => return show(visit, fields, None, fault(error, &[])?, false),
    };
    // A form that was sent before makes no second change: what it asks for is so already, or it is not done.
    if present == policy {
        return Ok(Response::see(visit.url("/policy")));
    }
    show(visit, fields, None, Faults::one("form", w::POLICY_CHANGED_MEANWHILE), false)
}

fn show(
    visit: &Visit<'_>,
    fields: Fields,
    rehearsal: Option<Rehearsal>,
    faults: Faults,
    is_stale: bool,
) -> Result<Response, Refused> {
    let status = match (is_stale, faults.is_empty()) {
        (true, _) => 403,
        (false, false) => 422,
        (false, true) => 200,
    };
    let template = PolicyPage {
        frame: visit.frame(w::POLICY),
        fields,
        rehearsal,
        faults,
        nonce: visit.nonce(ACTION)?,
        sign_in_again: is_stale.then(|| visit.sign_in_again()),
    };
    page(status, &template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written() {
        for seconds in [0, 1, 90, 900, 3600, 86_400, 90 * 86_400, 90_061] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(span(&w::span(duration)), Some(duration));
        }
        assert_eq!(span(" 90 days "), Some(Duration::from_secs(90 * 86_400)));
        for bad in ["", "d", "90", "-1 d", "1.5 d", "90 w", "99999999999999999999 d", "18446744073709551615 d"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
