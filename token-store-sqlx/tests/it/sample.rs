//! Tokens, owners and changes to store. Seals and hashes are made up: a store does not check them.

use token_core::{
    ActorId, Change, ChangeId, Digest, Event, EventHash, EventHead, Feed, Fingerprint, Generation, Grant, Grants,
    KeyId, Networks, Owner, OwnerGuard, OwnerId, Scheme, Seal, Sealed, Secret, SecretRef, Selector, Subject, Time,
    Token, TokenId, TokenName, Write,
};

pub(crate) fn at(second: i64) -> Time {
    Time::from_micros(second * 1_000_000).unwrap()
}

pub(crate) fn owner_id(name: &str) -> OwnerId {
    OwnerId::new(name).unwrap()
}

pub(crate) fn key(name: &str) -> KeyId {
    KeyId::new(name).unwrap()
}

pub(crate) fn id(number: u32) -> TokenId {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    TokenId::from_bytes(bytes)
}

pub(crate) fn selector(number: u32, generation: u32) -> Selector {
    Selector::from_bytes(format!("{number:08}{generation:08}").as_bytes()).unwrap()
}

pub(crate) fn secret(number: u32, generation: u32) -> Secret {
    Secret {
        selector: selector(number, generation),
        token: id(number),
        generation: Generation::new(generation).unwrap(),
        scheme: Scheme::HmacSha256,
        digest: Digest::from_bytes([3; 32]),
        key: key("k1"),
    }
}

fn sealed<T>(row: T) -> Sealed<T> {
    Sealed::from_parts(row, Seal { key: key("k1"), mac: [9; 32] })
}

fn head(seq: u64) -> EventHead {
    EventHead { seq, hash: EventHash::from_bytes([1; 32]), at: at(1) }
}

pub(crate) fn token(number: u32, owner: &str) -> Token {
    Token {
        id: id(number),
        owner: owner_id(owner),
        name: TokenName::new(format!("token {number}")).unwrap(),
        grants: Grants::new([Grant::all("projects:read").unwrap()]).unwrap(),
        networks: Some(Networks::parse(["10.0.0.0/8"]).unwrap()),
        created_at: at(1),
        created_by: ActorId::new("admin").unwrap(),
        expires_at: None,
        revoked_at: None,
        current: SecretRef { generation: Generation::FIRST, selector: selector(number, 1) },
        superseded: None,
        revision: 1,
        head: head(1),
    }
}

pub(crate) fn owner(name: &str, revision: u64) -> Sealed<Owner> {
    sealed(Owner { id: owner_id(name), suspended_at: None, revision, head: head(revision) })
}

/// Whose state changed, by a stretch of the log.
pub(crate) fn subjects(feed: &Feed) -> Vec<Subject> {
    feed.changes.iter().map(|(_, subject)| subject.clone()).collect()
}

/// A change whose id is made of a text.
pub(crate) fn change(id: &str, subject: Subject, seq: u64, write: Write) -> Change {
    Change {
        id: change_id(id),
        fingerprint: Fingerprint::from_bytes([5; 32]),
        event: Event {
            subject,
            seq,
            owner: Some(owner_id("ann")),
            at: at(1),
            actor: ActorId::new("admin").unwrap(),
            body: r#"{"kind":"resumed"}"#.to_owned(),
            hash: EventHash::from_bytes([1; 32]),
        },
        write,
    }
}

pub(crate) fn change_id(text: &str) -> ChangeId {
    ChangeId::from_key(&ActorId::new("test").unwrap(), text)
}

/// Creates a token of an owner who is there.
pub(crate) fn create(token: Token, cap: u32) -> Change {
    let guard = OwnerGuard::At { owner: token.owner.clone(), revision: 1 };
    create_under(guard, token, cap)
}

/// Creates the first token of an owner.
pub(crate) fn create_first(token: Token) -> Change {
    create_under(OwnerGuard::New(owner(token.owner.as_str(), 1)), token, 100)
}

/// Creates a token under a guard of its owner.
pub(crate) fn create_under(owner: OwnerGuard, token: Token, cap: u32) -> Change {
    let number = u32::from_be_bytes(token.id.as_bytes()[..4].try_into().unwrap());
    let (subject, label) = (Subject::Token(token.id), format!("create {number}"));
    change(
        &label,
        subject,
        1,
        Write::CreateToken { token: sealed(token), secret: secret(number, 1), owner, cap, now: at(100) },
    )
}

/// Writes a token whose revision and last event are one more than before.
pub(crate) fn update(id: &str, mut token: Token, secret: Option<Secret>) -> Change {
    token.revision += 1;
    token.head = head(token.head.seq + 1);
    change(
        id,
        Subject::Token(token.id),
        token.head.seq,
        Write::UpdateToken { token: sealed(token), secret, longer: None },
    )
}
