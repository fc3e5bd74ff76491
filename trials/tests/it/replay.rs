//! The state of a token, an owner and the policy as their events tell it, and nothing else.

use token_core::{Event, EventDetail, EventHead, Owner, OwnerId, Policy, Subject, Token};

/// A token from its events, the first of which is its creation.
pub(crate) fn token(events: &[Event]) -> Token {
    let (first, rest) = events.split_first().expect("a token has at least the event of its creation");
    let (Subject::Token(id), Some(owner)) = (&first.subject, &first.owner) else { panic!("no event of a token") };
    let EventDetail::Created { name, grants, networks, expires_at, secret } = first.detail().unwrap() else {
        panic!("a token begins with its creation");
    };
    let mut token = Token {
        id: *id,
        owner: owner.clone(),
        name,
        grants,
        networks,
        created_at: first.at,
        created_by: first.actor.clone(),
        expires_at,
        revoked_at: None,
        current: secret,
        superseded: None,
        revision: 1,
        head: first.head(),
    };
    for event in rest {
        step(&mut token, event);
        token.revision += 1;
        token.head = event.head();
    }
    token
}

fn step(token: &mut Token, event: &Event) {
    match event.detail().unwrap() {
        EventDetail::Edited { name, grants, networks, expires_at } => {
            token.name = name.unwrap_or_else(|| token.name.clone());
            token.grants = grants.unwrap_or_else(|| token.grants.clone());
            token.networks = networks.unwrap_or_else(|| token.networks.clone());
            token.expires_at = expires_at.unwrap_or(token.expires_at);
        }
        EventDetail::Rotated { secret, superseded, expires_at } => {
            let next = token.current.generation.number() + 1;
            assert_eq!(secret.generation.number(), next, "generations follow each other");
            (token.current, token.superseded, token.expires_at) = (secret, superseded, expires_at);
        }
        EventDetail::OverlapEnded { secret } => {
            assert_eq!(token.superseded.map(|old| old.secret), Some(secret));
            token.superseded = None;
        }
        EventDetail::Revoked => {
            token.revoked_at = Some(event.at);
            token.superseded = None;
        }
        other => panic!("nothing that happens to a token in a trial: {other:?}"),
    }
}

/// An owner that was made with its first token.
pub(crate) fn owner(id: &OwnerId, events: &[Event]) -> Owner {
    let mut owner = Owner { id: id.clone(), suspended_at: None, revision: 1, head: EventHead::START };
    for event in events {
        owner.suspended_at = match event.detail().unwrap() {
            EventDetail::Suspended => Some(event.at),
            EventDetail::Resumed => None,
            other => panic!("nothing that happens to an owner in a trial: {other:?}"),
        };
        owner.revision += 1;
        owner.head = event.head();
    }
    owner
}

/// The policy; `None` if it is still the first.
pub(crate) fn policy(events: &[Event]) -> Option<Policy> {
    events.last().map(|event| match event.detail().unwrap() {
        EventDetail::PolicyChanged { policy } => policy,
        other => panic!("nothing that happens to a policy: {other:?}"),
    })
}
