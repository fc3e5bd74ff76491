//! What happens once: a keyring, and a token to try.
#![expect(clippy::print_stdout, reason = "a demonstration talks to the person who started it")]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use token_core::{ChangeId, Grant, Grants, Keyring, NewToken, TokenName, Tokens};

use crate::demo;

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

/// Says where the service is and, on the first start, shows a token of ann's to try.
pub(crate) async fn greet(tokens: &Tokens, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let ann = demo::user("ann").ok_or("ann is one of the demo's users")?;
    let request = NewToken::new(TokenName::new("demo")?, Grants::new([Grant::all("projects:read")?])?);
    // One change, however often the service starts: a repeat makes no second token, and has no text to show.
    let once = tokens.manage(&ann).change_id(ChangeId::from_key(ann.id(), "demo"));
    if let Some(text) = once.create(&request).await?.text {
        println!("# A token of ann's. Shown once: only its digest is kept.");
        println!("export DEMO={}", text.expose_secret());
        println!("{}", TRY.replace("HOST", &format!("http://{address}")));
    } else {
        println!("The token to try was shown on the first start. To begin anew, delete the data.");
    }
    println!("listening on http://{address}");
    Ok(())
}

const TRY: &str = r#"
curl -i HOST/projects                                            # 401: no token
curl -i HOST/projects -H "Authorization: Bearer $DEMO"           # 200
curl -i HOST/projects -H "Authorization: Bearer $DEMO" -X POST   # 403: it may only read

# People manage tokens, in a browser: HOST/settings/tokens

# Or by the API. This signs in as ann, in a demo without passwords; changes say which site they come from.
curl -c jar HOST/demo/sign-in -d user=ann
ann() { curl -i -b jar -H "Origin: HOST" "$@"; }
ann HOST/api/tokens/tokens                                       # her tokens
ann HOST/api/tokens/tokens -H 'Content-Type: application/json' \
  -d '{"name":"deploy","grants":[{"scope":"projects:write","resources":"all"}]}'
ID=...                                                           # the id in that answer
ann HOST/api/tokens/tokens/$ID/rotate -X POST                    # a new value; the old one works on
ann HOST/api/tokens/tokens/$ID/end-overlap -X POST               # the old one ends
ann HOST/api/tokens/tokens/$ID/revoke -X POST                    # both end
"#;
