//! Everything that pages say to people, in one place.

use token_core::Reason;

use crate::screen::Screen;

pub(crate) const LANG: &str = "en";
pub(crate) const PRODUCTION: &str = "Production";

// Around every page.
pub(crate) const SKIP: &str = "Skip to the content";
pub(crate) const SIGNED_IN_AS: &str = "Signed in as";
pub(crate) const API_TOKENS: &str = "API tokens";
pub(crate) const TO_THE_LIST: &str = "All tokens";

// Moments and durations.
pub(crate) const NOW: &str = "now";
pub(crate) const ENDS_NOW: &str = "ends now";

pub(crate) fn seconds(count: u64) -> String {
    format!("{count} s")
}

pub(crate) fn minutes(count: u64) -> String {
    format!("{count} min")
}

pub(crate) fn hours(count: u64) -> String {
    format!("{count} h")
}

pub(crate) fn days(count: u64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

pub(crate) fn ago(span: &str) -> String {
    format!("{span} ago")
}

pub(crate) fn ahead(span: &str) -> String {
    format!("in {span}")
}

pub(crate) fn left(span: &str) -> String {
    format!("{span} left")
}

// Numbers.

/// A number with its thousands apart.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut spaced = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    spaced
}

/// A number in few characters.
pub(crate) fn short_number(count: u64) -> String {
    let tenths = |unit: u64, name: &str| {
        let tenths = count / (unit / 10);
        if tenths < 1000 { format!("{}.{}{name}", tenths / 10, tenths % 10) } else { format!("{}{name}", tenths / 10) }
    };
    match count {
        0..10_000 => number(count),
        10_000..1_000_000 => tenths(1_000, "k"),
        1_000_000..1_000_000_000 => tenths(1_000_000, "M"),
        _ => tenths(1_000_000_000, "G"),
    }
}

pub(crate) fn at_least(count: usize) -> String {
    format!("{count}+")
}

pub(crate) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

/// What the core says, as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    format!("{}.", capitalized(text))
}

// Refusals.
pub(crate) const NOT_FOUND: &str = "Nothing here";
pub(crate) const NOT_FOUND_SAYS: &str = "There is no such page or token, or it is not yours to see.";
pub(crate) const NO_METHOD: &str = "Not like this";
pub(crate) const NO_METHOD_SAYS: &str = "There is a page here, and it does not take what was sent.";
pub(crate) const UNREADABLE: &str = "This can’t be read";
pub(crate) const UNREADABLE_SAYS: &str = "What was sent is not what this page asks for. Nothing was changed.";
pub(crate) const TOO_LARGE: &str = "Too much";
pub(crate) const TOO_LARGE_SAYS: &str = "What was sent is longer than any form of this page. Nothing was changed.";
pub(crate) const CROSS_SITE: &str = "Sent from elsewhere";
pub(crate) const CROSS_SITE_SAYS: &str =
    "This request was not sent by a page of this site, as far as your browser says. Nothing was changed.";
pub(crate) const FORBIDDEN: &str = "Not allowed";
pub(crate) const FORBIDDEN_SAYS: &str = "You are not allowed to do this. Ask whoever manages your account.";
pub(crate) const SIGN_IN_FIRST: &str = "Sign in first";
pub(crate) const SIGN_IN_FIRST_SAYS: &str = "API tokens are shown to people who are signed in.";
pub(crate) const SIGN_IN: &str = "Sign in";
pub(crate) const SIGN_IN_AGAIN_FIRST: &str = "Confirm that it is you";
pub(crate) const SIGN_IN_AGAIN_SAYS: &str =
    "You signed in a while ago. What gives access asks you to sign in again first; revoking never does.";
pub(crate) const SIGN_IN_AGAIN: &str = "Sign in again";
pub(crate) const SIGN_IN_AGAIN_KEPT: &str = "You signed in too long ago for this. Sign in again, which opens beside this page, and then send this form once more.";
pub(crate) const REFUSED: &str = "This was refused";
pub(crate) const UNAVAILABLE: &str = "Not available right now";
pub(crate) const UNAVAILABLE_SAYS: &str = "Tokens can’t be read or changed at the moment. Nothing was changed. Those in use go on working for a little while.";
pub(crate) const TRY_AGAIN: &str = "Try again";
pub(crate) const OUTCOME_UNKNOWN: &str = "Not sure whether that worked";
pub(crate) const OUTCOME_UNKNOWN_SAYS: &str =
    "The connection to the store was lost while the change was made. Look at the list before you try again.";

// The list.
pub(crate) const CREATE_TOKEN: &str = "Create token";
pub(crate) const LOOK_UP_A_REFUSAL: &str = "Look up a refused request";
pub(crate) const POLICY: &str = "Policy";
pub(crate) const READ_ONLY: &str = "You may look at these tokens, and not change them.";
pub(crate) const EMPTY: &str = "No tokens yet";
pub(crate) const EMPTY_SAYS: &str =
    "A token lets a program use the API in your name, and nothing more than you allow it. It is sent like this:";
pub(crate) const CREATE_FIRST: &str = "Create your first token";
pub(crate) const CURL_PLACEHOLDER: &str = "YOUR_TOKEN";
pub(crate) const FILTER: &str = "Which tokens";
pub(crate) const STATE_LIVE: &str = "Active";
pub(crate) const STATE_EXPIRING: &str = "Expiring soon";
pub(crate) const STATE_UNUSED: &str = "Never used";
pub(crate) const STATE_EXPIRED: &str = "Expired";
pub(crate) const STATE_REVOKED: &str = "Revoked";
pub(crate) const STATE_ANY: &str = "All";
pub(crate) const OWNER: &str = "Owner";
pub(crate) const EVERY_OWNER: &str = "Every owner";
pub(crate) const FIND_BY_NAME: &str = "Find by name";
pub(crate) const FIND: &str = "Find";
pub(crate) const NONE_SUCH: &str = "No tokens are like this.";
pub(crate) const SHOW_LIVE: &str = "Show the active ones";
pub(crate) const PAGES: &str = "Pages";
pub(crate) const FIRST_PAGE: &str = "First page";
pub(crate) const NEXT_PAGE: &str = "Next page";
pub(crate) const NAME: &str = "Name";
pub(crate) const PERMISSIONS: &str = "Permissions";
pub(crate) const LAST_30_DAYS: &str = "Last 30 days";
pub(crate) const LAST_USED: &str = "Last used";
pub(crate) const CREATED: &str = "Created";
pub(crate) const EXPIRES: &str = "Expires";
pub(crate) const ACTIONS: &str = "Actions";
pub(crate) const BY: &str = "by";
pub(crate) const NEVER: &str = "Never";
pub(crate) const EXPIRED: &str = "expired";
pub(crate) const REVOKED: &str = "Revoked";
pub(crate) const ROTATE: &str = "Rotate";
pub(crate) const REVOKE: &str = "Revoke";
pub(crate) const REVOKE_SELECTED: &str = "Revoke selected…";
pub(crate) const BROKEN_SEAL: &str =
    "Changed behind the application’s back: it is refused, and what is shown may be wrong. Revoke it.";
pub(crate) const OLD_VALUE: &str = "Old value";
pub(crate) const END_NOW: &str = "End now";
pub(crate) const NOT_KNOWN: &str = "Not known";
pub(crate) const NO_REQUESTS: &str = "No requests";

/// What the list promises; each of it is so.
pub(crate) fn trust(bound: &str) -> String {
    format!("Values are shown once. What is revoked is refused everywhere within {bound}.")
}

pub(crate) fn select(name: &str) -> String {
    format!("Select {name}")
}

pub(crate) fn refused(count: &str) -> String {
    format!("{count} refused")
}

/// The line with which people try a token.
pub(crate) fn curl(screen: &Screen, value: &str) -> String {
    let url = screen.try_at.as_deref().or(screen.rules.origin.as_deref()).unwrap_or("https://…");
    format!("curl {url} -H 'Authorization: Bearer {value}'")
}

// Permissions.
pub(crate) const EVERYTHING: &str = "Everything";

pub(crate) const FULL_ACCESS: &str = "Full access";
pub(crate) const FULL_ACCESS_TITLE: &str = "Everything that there is, on every resource";
pub(crate) const NO_PERMISSIONS: &str = "None";
pub(crate) const NO_LONGER_OFFERED: &str = "The service no longer knows this scope, so it allows nothing";

/// A step beyond reading.
pub(crate) fn read_and(action: &str) -> String {
    format!("Read and {action}")
}

pub(crate) fn permission(label: &str, word: &str, limited: Option<usize>) -> String {
    let word = word.to_lowercase();
    match limited {
        None => format!("{label}: {word}"),
        Some(count) => format!("{label}: {word} ({count} selected)"),
    }
}

pub(crate) fn permission_title(says: &str, scope: &str) -> String {
    format!("{says} ({scope})")
}

pub(crate) fn no_longer_offered(scope: &str) -> String {
    scope.to_owned()
}

// Usage.
pub(crate) fn usage_sentence(days: usize, accepted: u64, refused: u64) -> String {
    if accepted + refused == 0 {
        return format!("Last {days} days: no requests");
    }
    format!("Last {days} days: {} accepted, {} refused", number(accepted), number(refused))
}

pub(crate) const USAGE_UNAVAILABLE: &str =
    "Usage can’t be read at the moment. Tokens work on, and what they did is kept until it can be shown.";
pub(crate) const NEVER_USED: &str = "never used";
pub(crate) const NEVER_USED_STATE: &str = "Never used";
pub(crate) const RECENT_ACTIVITY: &str = "Recent activity";
pub(crate) const A_SAMPLE: &str = "A sample of the latest requests, not a log of all of them.";
pub(crate) const WHEN: &str = "When";
pub(crate) const TOKEN: &str = "Token";
pub(crate) const CALL: &str = "Request";
pub(crate) const RESULT: &str = "Result";
pub(crate) const ADDRESS: &str = "Address";
pub(crate) const ACCEPTED: &str = "Accepted";
pub(crate) const REFUSED_COUNT: &str = "Refused";

pub(crate) fn last_used(ago: &str, from: Option<&str>) -> String {
    match from {
        Some(from) => format!("last used {ago} from {from}"),
        None => format!("last used {ago}"),
    }
}

pub(crate) fn from(address: &str) -> String {
    format!("from {address}")
}

// What needs attention: each goes on after the name of the token.
pub(crate) const LOOK: &str = "Look";
pub(crate) const EXTEND: &str = "Extend";
pub(crate) const SET_AN_END: &str = "Set an end";
pub(crate) const NARROW: &str = "Narrow";
pub(crate) const AFTER_REVOKE: &str = "after it was revoked";
pub(crate) const AFTER_EXPIRY: &str = "after it expired";
pub(crate) const AFTER_OVERLAP: &str = "with a value that rotation has ended";
pub(crate) const BROKEN_ROW: &str = "while its row was changed behind the application’s back";
pub(crate) const NEVER_EXPIRES: &str = "never expires.";

pub(crate) fn needs_attention(count: String) -> String {
    format!("Needs attention ({count})")
}

pub(crate) fn more(count: usize) -> String {
    format!("{count} more")
}

pub(crate) fn used_after(count: &str, what: &str, ago: &str) -> String {
    let times = if count == "1" { "once".to_owned() } else { format!("{count} times") };
    format!("was presented {times} {what}, last {ago}.")
}

pub(crate) fn new_network(network: &str, ago: &str) -> String {
    format!("was presented from a network not seen before, {network}, first {ago}.")
}

pub(crate) fn burst(count: &str, ago: &str) -> String {
    format!("had {count} requests in an hour, far more than it ever had, last {ago}.")
}

pub(crate) fn awake(before: &str, ago: &str) -> String {
    format!("was used again after a silence since {before}, last {ago}.")
}

pub(crate) fn spike(count: &str, ago: &str) -> String {
    format!("had {count} refused requests in an hour, far more than it ever had, last {ago}.")
}

pub(crate) fn expiring(when: &str) -> String {
    format!("expires {when}.")
}

pub(crate) fn never_used(created: &str) -> String {
    format!("was never used since it was created {created}.")
}

pub(crate) fn idle(span: &str) -> String {
    format!("was not used for {span}.")
}

pub(crate) fn unused(scope: &str, last: Option<String>, instead: &str) -> String {
    let never = match last {
        Some(last) => format!("was granted {scope}, last used {last}"),
        None => format!("was granted {scope}, which it never used"),
    };
    if instead.is_empty() { format!("{never}.") } else { format!("{never}; {instead} would do.") }
}

pub(crate) fn old_in_use(last: &str, until: &str) -> String {
    format!("is still used with its old value, last {last}, which ends {until}.")
}

pub(crate) fn old_silent(silent: Option<String>) -> String {
    match silent {
        Some(span) => format!("has an old value that was silent for {span}. It is safe to end."),
        None => "has an old value that was never used. It is safe to end.".to_owned(),
    }
}

// Making and changing.
pub(crate) const NAME_HINT: &str = "Where it is used, such as “nightly backup on db-2”.";
pub(crate) const PERMISSIONS_HINT: &str = "A token may do what is chosen here, and nothing else.";
pub(crate) const NO_ACCESS: &str = "None";
pub(crate) const HIGH_RISK: &str = "High risk";
pub(crate) const BEYOND: &str = "You don’t have this yourself";
pub(crate) const RESOURCES: &str = "Resources";
pub(crate) const ALL_RESOURCES: &str = "All resources";
pub(crate) const ALL_RESOURCES_HINT: &str = "Those made later included";
pub(crate) const SOME_RESOURCES: &str = "Only some";
pub(crate) const KEPT_RESOURCES: &str = "As they are";
pub(crate) const KEPT_RESOURCES_HINT: &str = "Each permission reaches what it reaches today";
pub(crate) const RESOURCE_IDS: &str = "Their ids, one a line, if only some";
pub(crate) const ON_A_DAY: &str = "On a day";
pub(crate) const LAST_DAY: &str = "Its last day, if on a day";
pub(crate) const FOR_EVER: &str = "never expires";
pub(crate) const NETWORKS: &str = "Allowed networks";
pub(crate) const NETWORKS_HINT: &str =
    "Addresses or blocks such as 198.51.100.0/24, one a line. With none, it may be used from anywhere.";
pub(crate) const START_FROM: &str = "Start from";
pub(crate) const READ_ONLY_PRESET: &str = "Read everything";
pub(crate) const CANCEL: &str = "Cancel";
pub(crate) const SAVE: &str = "Save changes";
pub(crate) const EDIT: &str = "Edit";
pub(crate) const OWNER_HINT: &str = "Whom the token acts for.";
pub(crate) const AS_IT_IS: &str = "As it is";

pub(crate) fn until(day: &str) -> String {
    format!("until {day}")
}

pub(crate) fn edit_title(name: &str) -> String {
    format!("Edit {name}")
}

// What is wrong with a form.
pub(crate) const OWNER_NEEDED: &str = "Say whom the token is for.";
pub(crate) const NAME_NEEDED: &str = "Give it a name.";
pub(crate) const NAME_TOO_LONG: &str = "Use a name of at most 100 characters.";
pub(crate) const NAME_HIDDEN: &str = "Leave control and text-direction characters out of the name.";
pub(crate) const RESOURCES_NEEDED: &str = "Name at least one resource, or choose all of them.";
pub(crate) const REACH_NEEDED: &str = "Choose which resources the added permission reaches.";
pub(crate) const DATE_NEEDED: &str = "Choose one of these, or a day.";
pub(crate) const TYPE_THE_NAME: &str = "Type the name exactly as it is shown.";
pub(crate) const CONTENTION: &str = "Someone else was changing this at the same time. Send it again.";
pub(crate) const CHANGED_MEANWHILE: &str =
    "Someone has changed this token since you opened the form. Open it again to see how it is now.";
pub(crate) const POLICY_CHANGED_MEANWHILE: &str =
    "The policy has changed since you opened the form. Open it again to see how it is now.";
pub(crate) const NUMBER_NEEDED: &str = "Give a whole number.";
pub(crate) const SPAN_NEEDED: &str = "Give a whole number and a unit, such as 90 d, 24 h or 15 min.";

pub(crate) fn faults(count: usize) -> String {
    if count == 1 { "One thing to mend".to_owned() } else { format!("{count} things to mend") }
}

// The value.
pub(crate) const COPY_NOW: &str =
    "Copy the value now. It is shown this once and kept nowhere: when you leave this page it is gone.";
pub(crate) const NOT_PRINTED: &str = "The value is not printed.";
pub(crate) const VALUE: &str = "Value";
pub(crate) const ENV_LINE: &str = "For a .env file";
pub(crate) const CURL_LINE: &str = "To try it";
pub(crate) const COPY: &str = "Copy";
pub(crate) const COPIED: &str = "Copied.";
pub(crate) const IT_MAY: &str = "What it may do";
pub(crate) const ANYWHERE: &str = "Anywhere";
pub(crate) const SAVED_IT: &str = "I have saved it";
pub(crate) const NO_LONGER_WORKS: &str = "No longer works";
pub(crate) const SHOWN_BEFORE: &str = "The value was shown before";
pub(crate) const SHOWN_BEFORE_SAYS: &str = "This form was sent twice, or a page was loaded again. It made one change, and the value was shown in the first answer.";
pub(crate) const REPLACE_HINT: &str =
    "If you have not got it, replace it: the lost value ends at once, and you are shown a new one.";
pub(crate) const REPLACE_VALUE: &str = "Replace value";

pub(crate) fn is_ready(name: &str) -> String {
    format!("{name} is ready")
}

pub(crate) fn is_rotated(name: &str) -> String {
    format!("{name} has a new value")
}

pub(crate) fn works_until(when: &str) -> String {
    format!("Works until {when}")
}

// Rotating.
pub(crate) const ROTATE_SAYS: &str =
    "A new value, with the same permissions. The one in use works on for a while, so that nothing stops.";
pub(crate) const VALUE_NOW: &str = "Current value";
pub(crate) const OLD_WORKS_FOR: &str = "The old value works for";
pub(crate) const CURRENT_WORKS_FOR: &str = "The current value then works for";
pub(crate) const TWO_LIVE: &str = "Two values work at present. Which one ends now?";
pub(crate) const END_THE_OLD: &str = "The old one";
pub(crate) const END_THE_OLD_HINT: &str = "Whoever still uses it is refused from now on";
pub(crate) const END_THE_CURRENT: &str = "The current one, which was lost";
pub(crate) const END_THE_CURRENT_HINT: &str = "The old one keeps its end; the choice below has no effect";
pub(crate) const END_OLD_VALUE: &str = "End old value";
pub(crate) const KEEP_BOTH: &str = "Keep both for now";

pub(crate) fn rotate_title(name: &str) -> String {
    format!("Rotate {name}")
}

pub(crate) fn rotate_named(name: &str) -> String {
    format!("Rotate {name}")
}

pub(crate) fn end_overlap_title(name: &str) -> String {
    format!("End the old value of {name}")
}

pub(crate) fn end_overlap_says(masked: &str, left: &str) -> String {
    format!("{masked} would work for {left} more. Ended now, whoever still uses it is refused.")
}

// Revoking.
pub(crate) const IMPACT_DEAD: &str = "It has expired, so nothing works with it today.";
pub(crate) const IMPACT_NONE: &str = "Nobody has used it within a day, as far as is known.";
pub(crate) const IMPACT_LATELY: &str = "It was used within a day.";
pub(crate) const IMPACT_UNKNOWN: &str = "Who uses it can’t be read at the moment.";
pub(crate) const ROTATE_INSTEAD_HINT: &str = "If only its value got out, replace that and keep the token:";
pub(crate) const ROTATE_INSTEAD: &str = "Rotate instead";
pub(crate) const TYPE_NAME: &str = "To confirm, type";
pub(crate) const KEEP_TOKEN: &str = "Keep token";
pub(crate) const KEEP_THEM: &str = "Keep them";
pub(crate) const REVOKE_THESE: &str = "Revoke these";
pub(crate) const NONE_SELECTED: &str = "Nothing is selected. Tick tokens in the list first.";
pub(crate) const NOT_REVOKED: &str = "Not revoked";

pub(crate) fn impact(uses: u64, sources: u64) -> String {
    let requests = if uses == 1 { "request" } else { "requests" };
    match sources {
        0 => format!("{} {requests} in the last hour.", number(uses)),
        1 => format!("{} {requests} in the last hour from one network.", number(uses)),
        _ => format!("{} {requests} in the last hour from {} networks.", number(uses), number(sources)),
    }
}

pub(crate) fn bound(span: std::time::Duration) -> String {
    // What is less than a second is promised as one.
    seconds(span.as_secs().max(1))
}

pub(crate) fn they_will_fail(bound: &str) -> String {
    format!("They will fail with 401 within {bound}, everywhere.")
}

pub(crate) fn will_fail(bound: &str) -> String {
    format!("Requests with it fail with 401 within {bound}, everywhere. It can’t be undone.")
}

pub(crate) fn revoke_named(name: &str) -> String {
    format!("Revoke {name}")
}

pub(crate) fn revoke_many(count: usize) -> String {
    if count == 1 { "Revoke one token".to_owned() } else { format!("Revoke {count} tokens") }
}

pub(crate) fn revoke_many_says(bound: &str) -> String {
    format!("Requests with any of these fail with 401 within {bound}, everywhere. It can’t be undone.")
}

pub(crate) fn revoked_many(count: usize) -> String {
    if count == 1 { "One token is revoked".to_owned() } else { format!("{count} tokens are revoked") }
}

pub(crate) fn revoked_within(bound: &str) -> String {
    format!("Every node refuses them within {bound}.")
}

pub(crate) fn revoked_since(when: &str) -> String {
    format!("Revoked {when}. All of its values are refused.")
}

// One token.
pub(crate) const SIGNALS: &str = "Suspicious";
pub(crate) const REQUESTS: &str = "requests";
pub(crate) const SCOPES_USED: &str = "Granted and used";
pub(crate) const IMPLIED: &str = " (implied)";
pub(crate) const REFUSALS: &str = "Refused, by reason";
pub(crate) const NO_REFUSALS: &str = "Nothing was refused.";
pub(crate) const SOURCES: &str = "Where it is used from";
pub(crate) const NO_SOURCES: &str = "From nowhere yet.";
pub(crate) const NETWORK: &str = "Network";
pub(crate) const FIRST_SEEN: &str = "First seen";
pub(crate) const LAST_SEEN: &str = "Last seen";
pub(crate) const NEW: &str = "New";
pub(crate) const VALUES: &str = "Values";
pub(crate) const CURRENT_VALUE: &str = "Current";
pub(crate) const HISTORY: &str = "History";
pub(crate) const EARLIER_EVENTS: &str = "These are the latest; earlier ones are kept.";
pub(crate) const CHAIN_UNKNOWN: &str =
    "The history can’t be verified, since the token’s row was changed behind the application’s back";
pub(crate) const REVOKED_EVENT: &str = "Revoked";
pub(crate) const RESEALED_EVENT: &str = "Vouched for by an operator";
pub(crate) const UNREADABLE_EVENT: &str = "An event that this version can’t read";

pub(crate) fn last_days(days: u32) -> String {
    if days == 365 { "The last year".to_owned() } else { format!("The last {days} days") }
}

pub(crate) fn generation(number: u32) -> String {
    format!("value {number}")
}

pub(crate) fn chain_intact(events: u64) -> String {
    if events == 1 {
        "Verified just now: 1 event, unbroken".to_owned()
    } else {
        format!("Verified just now: {events} events, unbroken")
    }
}

pub(crate) fn chain_broken(seq: u64) -> String {
    format!("Broken at event {seq}: it was changed behind the application’s back")
}

pub(crate) fn created_event(masked: &str) -> String {
    format!("Created with {masked}")
}

/// Of name, permissions, networks and expiry, those that were changed.
pub(crate) fn edited_event(changed: [bool; 4]) -> String {
    let names = ["name", "permissions", "networks", "expiry"];
    let changed: Vec<&str> = names.iter().zip(changed).filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    format!("Edited: {}", changed.join(", "))
}

pub(crate) fn rotated_event(masked: &str, until: Option<String>) -> String {
    match until {
        Some(until) => format!("Rotated to {masked}; the old value until {until}"),
        None => format!("Rotated to {masked}; the old value ended"),
    }
}

pub(crate) fn overlap_ended_event(masked: &str) -> String {
    format!("Old value {masked} ended early")
}

// Receipts.
pub(crate) const RECEIPT_SAYS: &str = "Every refused request is answered with a receipt. Paste it here to read exactly why, which its sender is not told.";
pub(crate) const RECEIPT: &str = "Receipt";
pub(crate) const LOOK_UP: &str = "Look up";
pub(crate) const RECEIPT_MISSING: &str =
    "This is no receipt of this service, or it is about a token that is not yours.";
pub(crate) const NO_TOKEN_OF_OURS: &str = "None that is known";

/// Why a request was refused, and what to do about it.
pub(crate) fn reason(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::NoCredential => ("No token was sent", "Send it in the header Authorization, after the word Bearer."),
        Reason::MalformedRequest => ("The request could not be read", "Send one token, in one header."),
        Reason::WrongPrefix => {
            ("Not one of our tokens", "It begins otherwise than tokens of this service. Check which one is configured.")
        }
        Reason::WrongLength => ("Wrong length", "Part of the value is missing, or something was added. Copy it again."),
        Reason::WrongAlphabet => ("Wrong characters", "The value holds characters that no token has. Copy it again."),
        Reason::WrongChecksum => ("Mistyped", "The value does not match its checksum. Copy it again."),
        Reason::UnknownSelector => ("Unknown token", "There is no such token here. It may be of another environment."),
        Reason::WrongVerifier => ("Wrong value", "The token exists, and the secret part of the value is wrong."),
        Reason::UnknownKey => ("The service lacks a key", "It is the service’s mistake. Tell its operators."),
        Reason::BrokenSeal => {
            ("Tampered with", "The token was changed behind the application’s back. Revoke it and tell the operators.")
        }
        Reason::Revoked => ("Revoked", "Somebody ended this token. Create another."),
        Reason::OwnerMissing => ("Owner deactivated", "The account that this token acts for is gone."),
        Reason::OwnerSuspended => {
            ("Owner suspended", "All tokens of this account are suspended. An admin can resume them.")
        }
        Reason::Expired => ("Expired", "Its last day has passed. Create another."),
        Reason::OverlapEnded => {
            ("Old value", "It was rotated, and the time in which the old value still worked is over. Use the new one.")
        }
        Reason::NetworkNotAllowed => ("Network not allowed", "It may be used from its allowed networks only."),
        Reason::AddressUnknown => {
            ("Address not known", "It is bound to networks, and the service does not know where the request came from.")
        }
        Reason::InsufficientScope => {
            ("Permission missing", "The token, or its owner, may not do this. Edit its permissions.")
        }
        Reason::StoreUnavailable => ("Store unavailable", "The service could not look the token up. Try again."),
        Reason::CeilingUnavailable => {
            ("Owner not checked", "The service could not learn what the owner may do. Try again.")
        }
        _ => ("Refused", "This version has no words for why."),
    }
}

// The policy.
pub(crate) const POLICY_SAYS: &str =
    "What every token must keep to when it is made, edited or rotated. Tokens that exist live on as they are.";
pub(crate) const POLICY_LIVE: &str = "Active tokens an owner may have";
pub(crate) const POLICY_MAX_LIFETIME: &str = "Longest life";
pub(crate) const POLICY_MAX_LIFETIME_HINT: &str = "Such as 365 d. With nothing, there is no limit.";
pub(crate) const POLICY_DEFAULT_LIFETIME: &str = "Life if nothing is chosen";
pub(crate) const POLICY_NEVER: &str = "Tokens may be made that never expire";
pub(crate) const POLICY_MAX_OVERLAP: &str = "Longest that an old value works after a rotation";
pub(crate) const POLICY_DEFAULT_OVERLAP: &str = "The same if nothing is chosen";
pub(crate) const SPAN_HINT: &str = "Such as 90 d, 24 h or 15 min.";
pub(crate) const REHEARSE: &str = "See what it would refuse";
pub(crate) const SET_POLICY: &str = "Set policy";
pub(crate) const REHEARSED_HINT: &str = "Nothing is set yet, and those that exist would live on.";

pub(crate) fn rehearsed(refused: u64, live: u64) -> String {
    let tokens = if refused == 1 { "token" } else { "tokens" };
    format!("{} {tokens} of {} would be refused if made today.", number(refused), number(live))
}

/// A duration as the policy's fields have it, exactly.
pub(crate) fn span(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => "0 s".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_or_have_their_thousands_apart() {
        let numbers = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        assert!(numbers.iter().all(|(count, says)| number(*count) == *says));
        let short =
            [(9_999, "9,999"), (31_402, "31.4k"), (999_999, "999k"), (1_200_000, "1.2M"), (3_000_000_000, "3.0G")];
        assert!(short.iter().all(|(count, says)| short_number(*count) == *says));
    }
}
