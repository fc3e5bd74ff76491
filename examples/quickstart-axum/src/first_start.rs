//! What happens once: a keyring, and two tokens to try.
#![expect(clippy::print_stdout, reason = "a demonstration talks to the person who started it")]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use token_core::{Actor, ActorId, Ceiling, ChangeId, Grant, Grants, Keyring, NewToken, OwnerId, TokenName, Tokens};

/// The keys of the service, made on the first start. A real one gets them from its secret store: `Keyring::from_env`.
pub(crate) fn keyring(path: &Path) -> Result<Keyring, Box<dyn Error>> {
    if !path.try_exists()? {
        // Readable by nobody else from its first moment on, and there whole or not at all.
        let draft = path.with_extension("draft");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(Keyring::generate("k1")?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
    }
    Ok(Keyring::parse(&fs::read_to_string(path)?)?)
}

/// Says where the service is and, on the first start, shows a token to try and one to manage tokens with.
pub(crate) async fn greet(tokens: &Tokens, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let host = Actor::owner(ActorId::new("quickstart")?, OwnerId::new("demo")?, Ceiling::Everything);
    for (variable, name, scope) in [("DEMO", "demo", "projects:read"), ("OPERATOR", "operator", "tokens:manage")] {
        let grants = Grants::new([Grant::all(scope)?])?;
        // One change each, however often the service starts: a repeat makes no second token, and has no text to show.
        let once = tokens.manage(&host).change_id(ChangeId::from_key(host.id(), name));
        if let Some(text) = once.create(&NewToken::new(TokenName::new(name)?, grants)).await?.text {
            println!("# The {name} token. Shown once: only its digest is kept.");
            println!("export {variable}={}", text.expose_secret());
            if name == "operator" {
                println!("{}", TRY.replace("HOST", &format!("http://{address}")));
            }
        }
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
