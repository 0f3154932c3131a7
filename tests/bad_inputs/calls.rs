//! The calls that get a bad answer, made by the client of production.

use std::sync::Arc;

use nightshift_domain::OrgId;
use nightshift_salesforce::{
    Api, ApiVersion, App, AsyncId, BulkJob, CallCounter, Client, Grant, JustGiven, ListQuery, ReadRequest,
    RetrieveRequest, Salesforce, SalesforceError, Session, TokenGeneration, ZipAnswer,
};
use secrecy::SecretString;
use uuid::Uuid;

/// The session of an org at a port of this machine: its token is its name.
fn session(port: u16, name: &str) -> Session {
    Session {
        instance_url: format!("http://127.0.0.1:{port}/").parse().unwrap(),
        access_token: format!("00Dxx!{name}").into(),
        generation: TokenGeneration(1),
    }
}

/// The call that gets the bad answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Versions,
    Identity,
    Token,
    Describe,
    List,
    Retrieve,
    Poll,
    Read,
    Zip,
    BulkRows,
}

pub fn client(salesforce: &Salesforce, port: u16, name: &str) -> Client {
    let org = OrgId::from_uuid(Uuid::nil());
    let tokens = Arc::new(JustGiven(session(port, name)));
    salesforce.client(org, tokens, CallCounter::new(), ApiVersion::NEWEST_TESTED)
}

pub async fn list(client: &Client) -> Result<(), SalesforceError> {
    let mut listing = client.list_metadata(&[ListQuery::of("ApexClass")]).await?;
    while listing.next().await?.is_some() {}
    Ok(())
}

pub async fn ask(salesforce: &Salesforce, port: u16, call: Call) -> Result<(), SalesforceError> {
    let client = client(salesforce, port, "ORG");
    let id = AsyncId::new("09S000000000001AAA").unwrap();
    match call {
        Call::Versions => client.choose_version().await.map(drop),
        Call::Identity => client.identity().await.map(drop),
        Call::Describe => client.describe_metadata().await.map(drop),
        Call::List => list(&client).await,
        Call::Retrieve => client
            .retrieve(&RetrieveRequest { types: vec![] })
            .await
            .map(drop),
        Call::Poll => client.retrieve_status(&id).await.map(drop),
        Call::Read => {
            let requests = ReadRequest::cut("Layout", &["A"]);
            let mut reading = client.read_metadata(&requests[0]).await?;
            while reading.next().await?.is_some() {}
            Ok(())
        }
        Call::Zip => zip(&client, &id).await,
        Call::BulkRows => {
            let job = BulkJob::new(Api::Data, ApiVersion::NEWEST_TESTED, "750000000000001AAA").unwrap();
            let mut rows = client.bulk_rows(&job, None, 1_000).await?;
            while rows.next().await?.is_some() {}
            Ok(())
        }
        Call::Token => {
            let refresh_token = SecretString::from("5Aep");
            let app = App {
                address: &session(port, "ORG").instance_url,
                client_id: "app",
                client_secret: None,
            };
            let grant = Grant::RefreshToken(&refresh_token);
            salesforce
                .oauth()
                .token(&app, grant, &CallCounter::new())
                .await
                .and_then(|answer| answer.usable(salesforce.hosts()))
                .map(drop)
        }
    }
}

/// Read by a thread of its own, as the ingest does.
async fn zip(client: &Client, id: &AsyncId) -> Result<(), SalesforceError> {
    let ZipAnswer::Zip(download) = client.retrieve_zip(id).await? else {
        panic!("an answer without a zip")
    };
    let mut reader = download.reader;
    let read = tokio::task::spawn_blocking(move || std::io::copy(&mut reader, &mut std::io::sink()));
    drop(read.await.unwrap());
    download.end.wait().await.map(drop)
}
