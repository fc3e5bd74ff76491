//! What a token may do to itself: read, rotate and revoke, and nothing that makes it wider or longer.

use token_core::{Rotation, Verified};

use crate::http::Response;
use crate::problem::Problem;
use crate::route::Operation;

use super::asked::Asked;
use super::{tokens, wire};

/// Does to the token itself what it asks for. No id is read from the request.
pub(super) async fn perform(asked: &Asked<'_>, operation: Operation, token: &Verified) -> Result<Response, Problem> {
    let id = token.token_id();
    match operation {
        Operation::ReadSelf => {
            asked.nothing()?;
            tokens::one(asked, id).await
        }
        Operation::RotateSelf => {
            let rotation = Rotation { replace: wire::replace(asked.optional_fields()?)?, expiry: None };
            let changing = asked.changing_revision().await?;
            // A value that was replaced, perhaps because it leaked, must not get its holder one that lasts.
            let manage = changing.manage.if_current(token.selector());
            let minted = manage.rotate(id, &rotation).await.map_err(|error| changing.problem(error))?;
            tokens::shown_once(200, &minted, asked.tokens(), &changing)
        }
        Operation::RevokeSelf => tokens::revoke_one(asked, id).await,
        _ => Err(Problem::forbidden()),
    }
}
