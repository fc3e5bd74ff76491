//! No actor, token or edit ever yields more rights than its maker has.

use std::sync::Arc;

use proptest::prelude::*;
use token_core::{
    Ceiling, Edit, Grant, Grants, ManageError, MemoryStore, NewToken, Overlap, OwnerId, Replace, ResourceId,
    ResourceSet, Resources, Rotation, Scope, ScopeName, Verified,
};

use crate::world::{BillingAll, BillingRead, ProjectsRead, ProjectsWrite, World, grants, name, owner, request};

const SCOPES: [&str; 4] = ["projects:read", "projects:write", "billing:read", "billing:*"];
const RESOURCES: [&str; 3] = ["x", "y", "another"];

/// The plain meaning of grants, told again: does any of them allow the scope on the resource?
fn allowed(ceiling: &Ceiling, scope: &str, resource: &str) -> bool {
    let Ceiling::Only(grants) = ceiling else { return true };
    grants.iter().any(|(granted, resources)| {
        let covers = granted.as_str() == scope
            || (granted.as_str() == "projects:write" && scope == "projects:read")
            || (granted.as_str() == "billing:*" && scope == "billing:read");
        let reaches = match resources {
            Resources::All => true,
            Resources::Only(set) => set.iter().any(|held| held.as_str() == resource),
        };
        covers && reaches
    })
}

fn held(token: &Verified, scope: &str, resource: &str) -> bool {
    match scope {
        "projects:read" => token.allows::<ProjectsRead>(resource),
        "projects:write" => token.allows::<ProjectsWrite>(resource),
        "billing:read" => token.allows::<BillingRead>(resource),
        _ => token.allows::<BillingAll>(resource),
    }
}

/// Nothing that the token may do, its maker may not, nor its owner.
fn within(token: &Verified, maker: &Ceiling, owner: &Ceiling) -> bool {
    SCOPES.iter().all(|scope| {
        RESOURCES.iter().all(|resource| {
            !held(token, scope, resource) || (allowed(maker, scope, resource) && allowed(owner, scope, resource))
        })
    })
}

prop_compose! {
    fn some_grants()(picks in proptest::collection::btree_map(0..SCOPES.len(), proptest::option::of(1..4_u8), 0..4)) -> Grants {
        Grants::new(picks.into_iter().map(|(scope, only)| Grant {
            scope: ScopeName::new(SCOPES[scope]).unwrap(),
            resources: only.map_or(Resources::All, |bits| {
                let ids = (0..2).filter(|bit| bits & (1 << bit) != 0).map(|bit| ResourceId::new(RESOURCES[bit]).unwrap());
                Resources::Only(ResourceSet::new(ids).unwrap())
            }),
        })).unwrap()
    }
}

fn some_ceiling() -> impl Strategy<Value = Ceiling> {
    prop_oneof![1 => Just(Ceiling::Everything), 4 => some_grants().prop_map(Ceiling::Only)]
}

#[derive(Debug, Clone)]
enum Act {
    Create(Grants),
    Edit(Grants),
    Rename,
    Rotate,
}

fn some_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        some_grants().prop_map(Act::Create),
        some_grants().prop_map(Act::Edit),
        Just(Act::Rename),
        Just(Act::Rotate)
    ]
}

proptest! {
    /// Two people with different rights work on one owner's tokens, whose ceiling changes as they go.
    #[test]
    fn no_minting_edit_or_rotation_exceeds_its_maker(
        strong in some_ceiling(),
        weak in some_ceiling(),
        acts in proptest::collection::vec((any::<bool>(), some_ceiling(), some_act()), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::on(Arc::new(MemoryStore::new())).await;
            let mut last = None;
            for (number, (by_weak, ceiling, act)) in acts.into_iter().enumerate() {
                let maker = if by_weak { &weak } else { &strong };
                let actor = owner("ann", maker.clone());
                world.roles.set("ann", Some(ceiling.clone()));
                let manage = world.tokens.manage(&actor);
                let plain = Rotation { replace: Replace::EndingSuperseded(Overlap::Now), expiry: None };
                let made = match (act, &last) {
                    (Act::Create(wanted), _) => {
                        manage.create(&NewToken { grants: wanted, ..request(&[]) }).await.map(Some)
                    }
                    (Act::Edit(wanted), Some((id, _))) => {
                        manage.edit(*id, &Edit { grants: Some(wanted), ..Edit::default() }).await.map(|_| None)
                    }
                    (Act::Rename, Some((id, _))) => {
                        let edit = Edit { name: Some(name(&format!("name {number}"))), ..Edit::default() };
                        manage.edit(*id, &edit).await.map(|_| None)
                    }
                    (Act::Rotate, Some((id, _))) => manage.rotate(*id, &plain).await.map(Some),
                    (_, None) => continue,
                };
                match made {
                    Ok(minted) => {
                        if let Some(minted) = minted {
                            last = Some((minted.token.id, minted));
                        }
                        let (_, minted) = last.as_ref().unwrap();
                        let verified = world.verify(minted).await.unwrap();
                        prop_assert!(within(&verified, maker, &ceiling));
                        // Nor later, when the owner's ceiling has risen again.
                        world.roles.set("ann", Some(Ceiling::Everything));
                        let verified = world.verify(minted).await.unwrap();
                        prop_assert!(within(&verified, maker, &Ceiling::Everything));
                    }
                    Err(ManageError::ExceedsRights(scopes)) => prop_assert!(!scopes.is_empty()),
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
            Ok(())
        })?;
    }
}

/// Gitea CVE-2026-56654, MinIO CVE-2025-62506: a narrow credential minted a wider one.
#[tokio::test]
async fn a_narrow_actor_mints_nothing_wider() {
    let world = World::new().await;
    let reader = owner("ann", Ceiling::Only(grants(&["projects:read"])));
    let manage = world.tokens.manage(&reader);
    for wider in [&["projects:write"][..], &["projects:read", "billing:read"], &["billing:*"]] {
        assert!(matches!(manage.create(&request(wider)).await, Err(ManageError::ExceedsRights(_))), "{wider:?}");
    }
    let narrow = manage.create(&request(&["projects:read"])).await.unwrap();
    let widen = Edit { grants: Some(grants(&["projects:write"])), ..Edit::default() };
    assert!(matches!(manage.edit(narrow.token.id, &widen).await, Err(ManageError::ExceedsRights(_))));
}

/// Harbor CVE-2022-31667 was a missing owner check on rotation; a missing check of rights would be as bad.
#[tokio::test]
async fn a_narrow_actor_gets_no_value_of_a_wider_token() {
    let world = World::new().await;
    let wide = world.create(&["projects:write", "billing:read"]).await;
    let reader = owner("ann", Ceiling::Only(grants(&["projects:read"])));
    let manage = world.tokens.manage(&reader);
    let refused = manage.rotate(wide.token.id, &Rotation::default()).await;
    assert!(matches!(refused, Err(ManageError::ExceedsRights(_))));
    // To narrow it to what the actor holds, and to revoke it, is allowed.
    let narrow = Edit { grants: Some(grants(&["projects:read"])), ..Edit::default() };
    assert!(manage.edit(wide.token.id, &narrow).await.is_ok());
    assert!(manage.revoke(wide.token.id).await.is_ok());
}

/// A ceiling that is low today may rise tomorrow, and a value that was rotated meanwhile would rise with it.
#[tokio::test]
async fn a_lowered_ceiling_gives_no_one_a_value_of_a_wider_token() {
    let world = World::new().await;
    let wide = world.create(&["projects:read", "billing:*"]).await;
    world.roles.set("ann", Some(Ceiling::Only(grants(&["projects:read"]))));
    let reader = owner("ann", Ceiling::Only(grants(&["projects:read"])));
    let refused = world.tokens.manage(&reader).rotate(wide.token.id, &Rotation::default()).await;
    assert!(matches!(refused, Err(ManageError::ExceedsRights(_))));
    let rename = Edit { name: Some(name("renamed")), ..Edit::default() };
    let refused = world.tokens.manage(&reader).edit(wide.token.id, &rename).await;
    assert!(matches!(refused, Err(ManageError::ExceedsRights(_))));
}

/// During a deployment a token may hold a scope that this version does not know.
#[tokio::test]
async fn a_scope_that_this_version_does_not_know_is_a_right_that_a_narrow_actor_lacks() {
    let store = Arc::new(MemoryStore::new());
    let newer = World::on(Arc::clone(&store) as _).await;
    let minted = newer.create(&["projects:read", "billing:read"]).await;
    let only_projects = crate::world::catalog().into_iter().filter(|scope| scope.name.starts_with("projects"));
    use chacha20::rand_core::SeedableRng;
    let rng = chacha20::ChaCha20Rng::from_seed([2; 32]);
    let older = World::with(store, |builder| builder.catalog(only_projects).rng(rng)).await;
    let reader = owner("ann", Ceiling::Only(grants(&["projects:read"])));
    let refused = older.tokens.manage(&reader).rotate(minted.token.id, &Rotation::default()).await;
    assert!(matches!(refused, Err(ManageError::ExceedsRights(scopes)) if scopes[0].as_str() == "billing:read"));
    assert!(older.tokens.manage(&older.owner).rotate(minted.token.id, &Rotation::default()).await.is_ok());
}

#[tokio::test]
async fn an_admin_gives_an_owner_no_more_than_its_ceiling() {
    let world = World::new().await;
    world.roles.set("bob", Some(Ceiling::Only(grants(&[BillingRead::DEF.name]))));
    let wide = NewToken { owner: Some(OwnerId::new("bob").unwrap()), ..request(&["projects:read"]) };
    let refused = world.tokens.manage(&world.admin).create(&wide).await;
    assert!(matches!(refused, Err(ManageError::ExceedsRights(_))));
}
