//! The published test vectors, which another implementation wrote.

use serde::Deserialize;

use crate::base62;
use crate::encoding::Canonical;
use crate::event::{Event, EventHash, EventHead};
use crate::format::{ParseError, TokenFormat};
use crate::history::ChainCheck;
use crate::keyring::Keyring;
use crate::network::Networks;
use crate::owner::Owner;
use crate::policy::{Policy, PolicyRow};
use crate::scope::{Grant, Grants};
use crate::seal::Sealed;
use crate::secret::{Generation, Selector};
use crate::text::{ActorId, OwnerId, TokenName};
use crate::token::{SecretRef, Superseded, Token, TokenId};
use crate::{Subject, Time};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

fn time(micros: i64) -> Time {
    Time::from_micros(micros).unwrap()
}

fn keyring(master: &str) -> Keyring {
    Keyring::parse(&format!("k1:{master}")).unwrap()
}

#[test]
fn token_text() {
    #[derive(Deserialize)]
    struct Vectors {
        checksums: Vec<Checksum>,
        numbers: Vec<Number>,
        tokens: Vec<Text>,
        refused: Vec<Refused>,
    }
    #[derive(Deserialize)]
    struct Checksum {
        input: String,
        crc32: u32,
        base62: String,
    }
    #[derive(Deserialize)]
    struct Number {
        number: u32,
        base62: String,
    }
    #[derive(Deserialize)]
    struct Text {
        prefix: String,
        selector: String,
        verifier: String,
        text: String,
    }
    #[derive(Deserialize)]
    struct Refused {
        prefix: String,
        text: String,
        error: String,
    }
    let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/format.json")).unwrap();
    for Checksum { input, crc32, base62 } in &vectors.checksums {
        assert_eq!(crc32fast::hash(input.as_bytes()), *crc32);
        assert_eq!(base62::encode_u32(*crc32), base62.as_bytes());
    }
    for Number { number, base62 } in &vectors.numbers {
        assert_eq!(base62::encode_u32(*number), base62.as_bytes());
    }
    for Text { prefix, selector, verifier, text } in &vectors.tokens {
        let parsed = TokenFormat::new(prefix).unwrap().parse(text.as_bytes()).map(|p| (p.selector(), *p.verifier()));
        let (parsed, found) = parsed.unwrap();
        assert_eq!((parsed.as_str(), found.as_slice()), (selector.as_str(), verifier.as_bytes()));
    }
    for Refused { prefix, text, error } in &vectors.refused {
        let expected = match error.as_str() {
            "prefix" => ParseError::Prefix,
            "length" => ParseError::Length,
            "alphabet" => ParseError::Alphabet,
            "checksum" => ParseError::Checksum,
            other => panic!("{other}"),
        };
        assert_eq!(TokenFormat::new(prefix).unwrap().check(text.as_bytes()), Err(expected), "{text:?}");
    }
}

#[test]
fn keys_and_digests() {
    #[derive(Deserialize)]
    struct Vectors {
        master: String,
        check: String,
        digests: Vec<Digest>,
    }
    #[derive(Deserialize)]
    struct Digest {
        verifier: String,
        token: TokenId,
        generation: u32,
        digest: String,
    }
    let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/digest.json")).unwrap();
    let keyring = keyring(&vectors.master);
    assert_eq!(keyring.checks().next().unwrap().1.as_bytes().as_slice(), hex(&vectors.check));
    assert!(!vectors.digests.is_empty());
    for Digest { verifier, token, generation, digest } in &vectors.digests {
        let made =
            keyring.digest(verifier.as_bytes().try_into().unwrap(), *token, Generation::new(*generation).unwrap());
        assert_eq!(made.as_bytes(), &hex32(digest));
    }
}

#[derive(Deserialize)]
struct Head {
    seq: u64,
    hash: String,
    at: i64,
}

impl Head {
    fn build(&self) -> EventHead {
        EventHead { seq: self.seq, hash: EventHash::from_bytes(hex32(&self.hash)), at: time(self.at) }
    }
}

#[derive(Deserialize)]
struct SecretRow {
    generation: u32,
    selector: String,
    until: Option<i64>,
}

impl SecretRow {
    fn build(&self) -> SecretRef {
        SecretRef {
            generation: Generation::new(self.generation).unwrap(),
            selector: Selector::from_bytes(self.selector.as_bytes()).unwrap(),
        }
    }
}

#[test]
fn encodings_and_seals() {
    #[derive(Deserialize)]
    struct Vectors {
        master: String,
        tokens: Vec<Row<TokenRow>>,
        owners: Vec<Row<OwnerRow>>,
        policies: Vec<Row<PolicyVector>>,
    }
    #[derive(Deserialize)]
    struct PolicyVector {
        policy: Policy,
        head: Head,
    }
    #[derive(Deserialize)]
    struct Row<T> {
        row: T,
        encoded: String,
        seal: String,
    }
    #[derive(Deserialize)]
    struct TokenRow {
        id: TokenId,
        owner: OwnerId,
        name: TokenName,
        grants: Vec<Grant>,
        networks: Option<Networks>,
        created_at: i64,
        created_by: ActorId,
        expires_at: Option<i64>,
        revoked_at: Option<i64>,
        current: SecretRow,
        superseded: Option<SecretRow>,
        revision: u64,
        head: Head,
    }
    #[derive(Deserialize)]
    struct OwnerRow {
        id: OwnerId,
        suspended_at: Option<i64>,
        revision: u64,
        head: Head,
    }
    fn check<T: Canonical>(row: T, encoded: &str, seal: &str, keyring: &Keyring) {
        assert_eq!(row.canonical_bytes(), hex(encoded));
        assert_eq!(Sealed::new(row, keyring).seal().mac, hex32(seal));
    }
    let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/seal.json")).unwrap();
    let keyring = keyring(&vectors.master);
    assert_eq!((vectors.tokens.len(), vectors.owners.len(), vectors.policies.len()), (2, 2, 2));
    for Row { row, encoded, seal } in vectors.policies {
        check(PolicyRow { policy: row.policy, head: row.head.build() }, &encoded, &seal, &keyring);
    }
    for Row { row, encoded, seal } in vectors.tokens {
        let superseded = row.superseded.as_ref();
        let token = Token {
            id: row.id,
            owner: row.owner,
            name: row.name,
            grants: Grants::new(row.grants).unwrap(),
            networks: row.networks,
            created_at: time(row.created_at),
            created_by: row.created_by,
            expires_at: row.expires_at.map(time),
            revoked_at: row.revoked_at.map(time),
            current: row.current.build(),
            superseded: superseded.map(|old| Superseded { secret: old.build(), until: time(old.until.unwrap()) }),
            revision: row.revision,
            head: row.head.build(),
        };
        check(token, &encoded, &seal, &keyring);
    }
    for Row { row, encoded, seal } in vectors.owners {
        let owner = Owner {
            id: row.id,
            suspended_at: row.suspended_at.map(time),
            revision: row.revision,
            head: row.head.build(),
        };
        check(owner, &encoded, &seal, &keyring);
    }
}

#[test]
fn event_chains() {
    #[derive(Deserialize)]
    struct Vectors {
        chains: Vec<Vec<EventRow>>,
    }
    #[derive(Deserialize)]
    struct EventRow {
        subject: String,
        seq: u64,
        owner: Option<OwnerId>,
        at: i64,
        actor: ActorId,
        body: String,
        hash: String,
    }
    let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/chain.json")).unwrap();
    assert_eq!(vectors.chains.len(), 2);
    for chain in vectors.chains {
        let mut check = ChainCheck::new();
        for row in chain {
            let subject: Subject = row.subject.parse().unwrap();
            let event = Event {
                subject: subject.clone(),
                seq: row.seq,
                owner: row.owner,
                at: time(row.at),
                actor: row.actor,
                body: row.body,
                hash: EventHash::from_bytes(hex32(&row.hash)),
            };
            assert!(event.detail().is_ok());
            assert_eq!(check.step(&subject, &event), Ok(()));
        }
    }
}
