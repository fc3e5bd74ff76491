//! `verify.peer`: the same text, read and checked, by a crate that hosts use today.

use std::hint::black_box;

use prefixed_api_key::{PrefixedApiKey, PrefixedApiKeyController};

use super::{Setting, runtime};
use crate::Trouble;
use crate::pairs::{Plan, nanoseconds};
use crate::subject::{Subject, pass};
use crate::table::Row;

pub(super) fn measure(_setting: &mut Setting) -> Result<Vec<Row>, Trouble> {
    let subject = runtime()?.block_on(Subject::in_memory(1))?;
    let (tokens, header) = (&subject.tokens, &*subject.headers[0]);
    let controller = PrefixedApiKeyController::configure().prefix("acme".to_owned()).seam_defaults().finalize()?;
    let (key, hash) = controller.generate_key_and_hash();
    let key = key.to_string();
    // It keeps the hash where ours has a cache, and knows neither scopes nor expiry nor uses.
    let check = |runs| {
        (0..runs).for_each(|_| {
            let presented = PrefixedApiKey::from_string(black_box(&key));
            assert!(
                presented.is_ok_and(|presented| controller.check_hash(&presented, &hash)),
                "a good key was refused"
            );
        });
    };
    let passes = |runs| (0..runs).for_each(|_| assert!(pass(tokens, black_box(header)), "a good token was refused"));
    Ok(vec![Row::new("verify.peer", "ns", nanoseconds(Plan::SHORT, passes, check)?)])
}
