//! Stub.
use nightshift_domain::*;
use crate::error::StoreError;
pub struct SwitchFigures { pub revision: Revision, pub components: i64, pub added: i64, pub changed: i64, pub deleted: i64, pub got: i64 }
pub(crate) async fn switch(_: &mut sqlx::PgConnection, _: OrgId, _: SyncId, _: &Switch) -> Result<SwitchFigures, StoreError> { Err(StoreError::LeaseLost) }
