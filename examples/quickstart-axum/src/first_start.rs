//! What happens once: a keyring, and two tokens to try.
#![expect(clippy::print_stdout, reason = "a demonstration talks to the person who started it")]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use token_core::{
    Actor, ActorId, Ceiling, Grant, Grants, Keyring, ListFilter, NewToken, OwnerId, Position, TokenName, Tokens,
};

/// The keys of the service, made on the first start. A real one gets them from its secret store: `Keyring::from_env`.
pub(crate) fn keyring(path: &Path) -> Result<Keyring, Box<dyn Error>> {
    // Made by whoever is first, and readable by nobody else from its first moment on.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(Keyring::generate("k1")?.as_bytes())?;
            file.sync_all()?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Keyring::parse(&fs::read_to_string(path)?)?)
}

/// Says where the service is and, on the first start, shows a token to try and one to manage tokens with.
pub(crate) async fn greet(tokens: &Tokens, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let host = Actor::owner(ActorId::new("quickstart")?, OwnerId::new("demo")?, Ceiling::Everything);
    let manage = tokens.manage(&host);
    let earlier = manage.list(None, ListFilter::Any, None, Position::Created(None), 1).await?;
    if earlier.tokens.is_empty() {
        println!("Shown once; only their digests are kept:\n");
        for (variable, name, scope) in [("DEMO", "demo", "projects:read"), ("OPERATOR", "operator", "tokens:manage")] {
            let grants = Grants::new([Grant::all(scope)?])?;
            let minted = manage.create(&NewToken::new(TokenName::new(name)?, grants)).await?;
            println!("export {variable}={}", minted.text.as_ref().map_or("", |text| text.expose_secret()));
        }
        println!("{}", TRY.replace("HOST", &format!("http://{address}")));
    }
    println!("listening on http://{address}");
    Ok(())
}

const TRY: &str = r#"
curl -i HOST/projects                                                   # 401: no token
curl -i HOST/projects -H "Authorization: Bearer $DEMO"                  # 200
curl -i HOST/projects -H "Authorization: Bearer $DEMO" -X POST          # 403: it may only read
curl -i HOST/tokens   -H "Authorization: Bearer $OPERATOR"              # the tokens, and their ids
curl -i HOST/tokens   -H "Authorization: Bearer $OPERATOR" --json \
  '{"name":"deploy","grants":[{"scope":"projects:write","resources":"all"}]}'
curl -i HOST/tokens/$ID/rotate      -H "Authorization: Bearer $OPERATOR" -X POST    # a new value; the old one works on
curl -i HOST/tokens/$ID/end-overlap -H "Authorization: Bearer $OPERATOR" -X POST    # the old one ends
curl -i HOST/tokens/$ID             -H "Authorization: Bearer $OPERATOR" -X DELETE  # both end
"#;
