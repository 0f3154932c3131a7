//! `org add`, `login`, `reauthenticate`, `disconnect`: how an org is reached.

use std::{path::Path, time::Duration};

use nightshift_connections::{
    GivenBack, Grant, JwtBearer, Login, LoginApp, NewConnection, Renewal, connect, disconnect, reauthenticate,
};
use nightshift_domain::{OrgName, sync::Mode};
use nightshift_salesforce::Salesforce;
use nightshift_store::{Store, StoreError, orgs::OrgRow};
use secrecy::SecretString;

use super::{callback::Callback, summary, zone};
use crate::{
    cli::{GrantArgs, Json, OrgAddArgs, OrgLoginArgs, OrgReauthenticateArgs},
    commands::{maybe, secret_file, sync, text_file, time},
    config::Settings,
    error::CommandError,
    output, wiring,
};

pub async fn add(store: &Store, settings: &Settings, args: OrgAddArgs) -> Result<(), CommandError> {
    let connection = NewConnection {
        name: name(&args.name)?,
        grant: grant(&args.grant)?,
        client_secret: optional(args.client_secret_file.as_deref())?,
        login_url: checked(args.login_url, args.new.sandbox)?,
        client_id: args.client_id,
        time_zone: args.new.time_zone,
    };
    let salesforce = wiring::salesforce(settings)?;
    connected(
        store,
        settings,
        &salesforce,
        connection,
        args.new.no_sync,
        args.json,
    )
    .await
}

/// Connects, starts the first sync, tells.
async fn connected(
    store: &Store,
    settings: &Settings,
    salesforce: &Salesforce,
    connection: NewConnection,
    no_sync: bool,
    json: Json,
) -> Result<(), CommandError> {
    let id = connect(store, salesforce, connection, None, &mut rand::rng()).await?;
    let org = store.orgs().show(id).await?;
    if !no_sync {
        sync::start(store, settings, &org, Mode::Incremental).await?;
    }
    if json.json {
        output::json(&summary(&org));
    } else {
        let next = maybe(org.next_run.map(time));
        output::line(&format!(
            "connected {} ({}), zone {}, next run {next}",
            org.name,
            org.organization_id,
            zone(&org)
        ));
    }
    Ok(())
}

/// Logs a person in with a browser; the org is then connected, or connected anew, with the refresh token that comes.
pub async fn login(store: &Store, settings: &Settings, args: OrgLoginArgs) -> Result<(), CommandError> {
    let org_name = name(&args.name)?;
    let salesforce = wiring::salesforce(settings)?;
    let known = known(store, &args.name).await?;
    let new_secret = optional(args.client_secret_file.as_deref())?;
    let callback = Callback::listen(args.callback_port).await?;
    let redirect_uri = callback.redirect_uri();
    let app = match &known {
        Some(org) => its_app(store, org, &args, new_secret.clone(), redirect_uri).await?,
        None => new_app(&args, new_secret.clone(), redirect_uri)?,
    };
    let (login_url, client_id) = (app.login_url.clone(), app.client_id.clone());
    let login = Login::begin(&salesforce, app, &mut rand::rng())?;
    eprintln!(
        "open this address in a browser and log in to the org (from another machine: ssh -L {port}:localhost:{port} ...):\n\n{url}\n",
        port = args.callback_port,
        url = login.url()
    );
    let answer = callback.answer(Duration::from_secs(args.timeout)).await?;
    let grant = Grant::RefreshToken(login.finish(&salesforce, answer).await?);
    let Some(org) = known else {
        let connection = NewConnection {
            name: org_name,
            login_url,
            client_id,
            client_secret: new_secret,
            grant,
            time_zone: args.new.time_zone,
        };
        return connected(
            store,
            settings,
            &salesforce,
            connection,
            args.new.no_sync,
            args.json,
        )
        .await;
    };
    let client_secret = new_secret;
    reauthenticate(store, &salesforce, &org, Renewal { grant, client_secret }).await?;
    tell_of_renewal(&org, args.json);
    Ok(())
}

async fn known(store: &Store, name: &str) -> Result<Option<OrgRow>, CommandError> {
    match store.orgs().find(name).await {
        Ok(org) => Ok(Some(org)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn its_app(
    store: &Store,
    org: &OrgRow,
    args: &OrgLoginArgs,
    new_secret: Option<SecretString>,
    redirect_uri: String,
) -> Result<LoginApp, CommandError> {
    if args.login_url.is_some() {
        return Err(CommandError::Usage(format!(
            "org {} is connected already, through an app of its own: leave out --login-url and --client-id to connect it anew",
            org.name
        )));
    }
    let connection = store.connections().show(org.id).await?;
    Ok(LoginApp {
        login_url: connection.login_url,
        client_id: connection.client_id,
        client_secret: new_secret.or(connection.client_secret),
        redirect_uri,
    })
}

fn new_app(
    args: &OrgLoginArgs,
    client_secret: Option<SecretString>,
    redirect_uri: String,
) -> Result<LoginApp, CommandError> {
    let (Some(login_url), Some(client_id)) = (args.login_url.clone(), args.client_id.clone()) else {
        return Err(CommandError::Usage(format!(
            "no org is called {}; a new one needs --login-url and --client-id",
            args.name
        )));
    };
    Ok(LoginApp {
        login_url: checked(login_url, args.new.sandbox)?,
        client_id,
        client_secret,
        redirect_uri,
    })
}

pub async fn renew(
    store: &Store,
    settings: &Settings,
    args: OrgReauthenticateArgs,
) -> Result<(), CommandError> {
    let org = store.orgs().find(&args.name).await?;
    let renewal = Renewal {
        grant: grant(&args.grant)?,
        client_secret: optional(args.client_secret_file.as_deref())?,
    };
    reauthenticate(store, &wiring::salesforce(settings)?, &org, renewal).await?;
    tell_of_renewal(&org, args.json);
    Ok(())
}

fn tell_of_renewal(org: &OrgRow, json: Json) {
    let name = &org.name;
    eprintln!("org {name} is connected again; nightshift sync {name} starts a sync now");
    if org.paused {
        eprintln!("it is paused: nightshift org resume {name} lets its nights begin again");
    }
    if json.json {
        output::json(&summary(org));
    }
}

pub async fn end(store: &Store, settings: &Settings, name: &str, yes: bool) -> Result<(), CommandError> {
    let org = store.orgs().find(name).await?;
    let name = &org.name;
    if !yes {
        return Err(CommandError::Usage(format!(
            "org {name} would be synced no more and its token given back to Salesforce; its dictionary stays. Say it with --yes"
        )));
    }
    match disconnect(store, &wiring::salesforce(settings)?, &org).await? {
        GivenBack::Yes => eprintln!("org {name} is disconnected; Salesforce has taken its token back"),
        GivenBack::Nothing => eprintln!("org {name} is disconnected; it had no token to give back"),
        GivenBack::No(error) => eprintln!(
            "org {name} is disconnected here, but Salesforce has not taken its token back ({error}); revoke it in the org: Setup, Connected Apps OAuth Usage"
        ),
    }
    Ok(())
}

fn name(text: &str) -> Result<OrgName, CommandError> {
    text.parse()
        .map_err(|error| CommandError::Usage(format!("NAME: {error}")))
}

fn checked(login_url: String, sandbox: bool) -> Result<String, CommandError> {
    if sandbox && login_url.contains("//login.salesforce.com") {
        return Err(CommandError::Usage(
            "a sandbox logs in at https://test.salesforce.com or at its My Domain, not at login.salesforce.com".into(),
        ));
    }
    Ok(login_url)
}

fn grant(args: &GrantArgs) -> Result<Grant, CommandError> {
    if let (Some(file), Some(username)) = (&args.jwt_key_file, &args.username) {
        return Ok(Grant::JwtBearer(JwtBearer {
            username: username.clone(),
            audience: args.audience.clone(),
            key: text_file(file)?,
        }));
    }
    match &args.refresh_token_file {
        Some(file) => Ok(Grant::RefreshToken(secret_file(file)?)),
        None => Ok(Grant::ClientCredentials),
    }
}

fn optional(file: Option<&Path>) -> Result<Option<SecretString>, CommandError> {
    file.map(secret_file).transpose()
}
