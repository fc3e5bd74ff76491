//! What a token may do to itself: read, rotate and revoke, and nothing that makes it wider or longer.

use token_core::{Rotation, TokenId};

use crate::http::Response;
use crate::problem::Problem;
use crate::route::Operation;

use super::asked::Asked;
use super::{tokens, wire};

/// Does to the token itself what it asks for. No id is read from the request.
pub(super) async fn perform(asked: &Asked<'_>, operation: Operation, id: TokenId) -> Result<Response, Problem> {
    match operation {
        Operation::ReadSelf => {
            asked.nothing()?;
            tokens::one(asked, id).await
        }
        Operation::RotateSelf => {
            let rotation = Rotation { replace: wire::replace(asked.optional_fields()?)?, expiry: None };
            let changing = asked.changing_revision().await?;
            let minted = changing.manage.rotate(id, &rotation).await.map_err(|error| changing.problem(error))?;
            tokens::shown_once(200, &minted, asked.tokens(), &changing)
        }
        Operation::RevokeSelf => tokens::revoke_one(asked, id).await,
        _ => Err(Problem::forbidden()),
    }
}
