//! Stub.
use nightshift_domain::*;
use crate::error::StoreError;
pub(crate) async fn remove_staged_of_job(_: &mut sqlx::PgConnection, _: OrgId, _: SyncId, _: JobId) -> Result<u64, StoreError> { Ok(0) }
