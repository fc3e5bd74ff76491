//! Pages of tokens: each starts where the last one ended, in the order of an index. Places in it are written so that every
//! database goes there by the index; MariaDB does not for `(name, id) > (?, ?)`.

use token_core::{Fault, ListFilter, ListQuery, Page, Position, Sealed, StoreError, Time, Token, TokenId};

use super::SqlStore;
use crate::rows::{self, token_columns};
use crate::value::{Value, values};

/// A token counts as live at the moment of the one argument. The rule of `Token::state`, for the database.
macro_rules! live {
    () => {
        "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
    };
}
pub(super) use live;

/// Conditions, with their arguments in order.
#[derive(Clone, Default)]
struct Conditions<'a> {
    sql: Vec<String>,
    values: Vec<Value<'a>>,
}

impl<'a> Conditions<'a> {
    fn and(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Value<'a>>) {
        self.sql.push(sql.into());
        self.values.extend(values);
    }
}

impl SqlStore {
    pub(super) async fn page(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let conditions = self.conditions(query)?;
        // One more than fits tells whether there is a next page.
        let limit = i64::from(query.limit) + 1;
        let mut tokens = match &query.from {
            Position::Created(after) => {
                let after = after.map(|id| ("t.id < ?", Vec::from(values![id])));
                self.stretch(conditions, after, "t.id DESC", limit).await?
            }
            Position::Name(after) => {
                let after = after.as_ref().map(|(name, id)| {
                    let name = name.as_str();
                    ("t.name >= ? AND (t.name > ? OR t.id > ?)", Vec::from(values![name, name, *id]))
                });
                self.stretch(conditions, after, "t.name, t.id", limit).await?
            }
            Position::Expiry(after) => self.by_expiry(conditions, *after, live_since(query), limit).await?,
        };
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = tokens.len() > limit;
        tokens.truncate(limit);
        let last = tokens.last().filter(|_| more);
        Ok(Page { next: last.map(|token| query.from.after(token.unverified())), tokens })
    }

    /// Databases disagree on where nulls sort, and none has an index for it: so the tokens that expire are one
    /// stretch, and those that never do follow as another. Where none but live ones are wanted, the first begins behind all that have
    /// expired.
    async fn by_expiry(
        &self,
        conditions: Conditions<'_>,
        after: Option<(Option<Time>, TokenId)>,
        live_since: Option<Time>,
        limit: i64,
    ) -> Result<Vec<Sealed<Token>>, StoreError> {
        let never_after = match after {
            Some((None, id)) => Some(id),
            _ => None,
        };
        let mut tokens = Vec::new();
        if never_after.is_none() {
            let mut expiring = conditions.clone();
            match live_since {
                None => expiring.and("t.expires_at IS NOT NULL", []),
                Some(now) => expiring.and("t.expires_at > ?", values![now]),
            }
            let after = after.map(|(at, id)| {
                ("t.expires_at >= ? AND (t.expires_at > ? OR t.id > ?)", Vec::from(values![at, at, id]))
            });
            tokens = self.stretch(expiring, after, "t.expires_at, t.id", limit).await?;
        }
        let left = limit - i64::try_from(tokens.len()).unwrap_or(limit);
        if left > 0 {
            let mut never = conditions;
            never.and("t.expires_at IS NULL", []);
            let after = never_after.map(|id| ("t.id > ?", Vec::from(values![id])));
            tokens.extend(self.stretch(never, after, "t.id", left).await?);
        }
        Ok(tokens)
    }

    async fn stretch(
        &self,
        mut conditions: Conditions<'_>,
        after: Option<(&'static str, Vec<Value<'_>>)>,
        order: &'static str,
        limit: i64,
    ) -> Result<Vec<Sealed<Token>>, StoreError> {
        let mut sql = concat!("SELECT ", token_columns!(), " FROM api_tokens t").to_owned();
        let mut values = std::mem::take(&mut conditions.values);
        if let Some((condition, place)) = after {
            conditions.sql.push(condition.to_owned());
            values.extend(place);
        }
        if !conditions.sql.is_empty() {
            sql.push_str(" WHERE ");
            sql.push_str(&conditions.sql.join(" AND "));
        }
        sql.push_str(" ORDER BY ");
        sql.push_str(order);
        sql.push_str(" LIMIT ?");
        values.push(limit.into());
        self.all(sql.into(), &values, rows::token).await
    }

    fn conditions<'q>(&self, query: &'q ListQuery) -> Result<Conditions<'q>, StoreError> {
        let mut conditions = Conditions::default();
        if let Some(owner) = &query.owner {
            conditions.and("t.owner = ?", values![owner.as_str()]);
        }
        if let Some(text) = &query.text {
            conditions.and(self.dialect.holds("t.name"), values![text.as_str()]);
        }
        let now = query.now;
        match query.filter {
            ListFilter::Live => conditions.and(live!(), values![now]),
            ListFilter::ExpiringBefore(end) => {
                conditions.and(live!(), values![now]);
                conditions.and("t.expires_at < ?", values![end]);
            }
            ListFilter::NeverUsed => {
                conditions.and(live!(), values![now]);
                conditions.and("NOT EXISTS (SELECT 1 FROM api_token_usage_last u WHERE u.token = t.id)", []);
            }
            ListFilter::Expired => conditions.and("t.revoked_at IS NULL AND t.expires_at <= ?", values![now]),
            ListFilter::Revoked => conditions.and("t.revoked_at IS NOT NULL", []),
            ListFilter::Any => {}
            // Of a later version of the core. A page of something else would be worse than none.
            _ => return Err(StoreError::new(Fault::Other, "this version of the store does not know the filter")),
        }
        Ok(conditions)
    }
}

/// The moment at which tokens are to be live, if none but live ones are wanted.
fn live_since(query: &ListQuery) -> Option<Time> {
    let live = matches!(query.filter, ListFilter::Live | ListFilter::ExpiringBefore(_) | ListFilter::NeverUsed);
    live.then_some(query.now)
}
