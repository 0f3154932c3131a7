//! A small client: tokens, envelopes, zips.

use std::{collections::BTreeMap, io::Read, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use nightshift_simulator::{OrgAccess, OrgSpec, Simulator, SimulatorSettings};
use reqwest::{Client, Response};
use serde_json::{Value, json};

/// A running simulator with one org, and a session in it.
pub struct Session {
    pub simulator: Simulator,
    pub access: OrgAccess,
    pub token: String,
    pub http: Client,
}

impl Session {
    pub async fn open(spec: OrgSpec) -> Self {
        Self::open_with(spec, SimulatorSettings::default()).await
    }

    pub async fn open_with(spec: OrgSpec, settings: SimulatorSettings) -> Self {
        let mut session = Self::closed(spec, settings).await;
        session.renew().await;
        session
    }

    /// Without a token yet.
    pub async fn closed(spec: OrgSpec, settings: SimulatorSettings) -> Self {
        let simulator = Simulator::start(settings).await.unwrap();
        let access = simulator.add_org(spec).unwrap();
        Self {
            simulator,
            access,
            token: String::new(),
            http: Client::builder().build().unwrap(),
        }
    }

    /// Takes a new access token.
    pub async fn renew(&mut self) {
        let answer = self.refresh(&self.access.refresh_token.clone()).await.1;
        answer["access_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.token);
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.access.instance_url)
    }

    pub async fn refresh(&self, refresh_token: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", &self.access.client_id),
        ];
        let answer = self
            .http
            .post(self.url("/services/oauth2/token"))
            .form(&form)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = self
            .http
            .get(self.url(path))
            .bearer_auth(&self.token)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub async fn control(&self, path: &str, order: Value) -> Value {
        let url = self.url(&format!("/_control/{path}"));
        let answer = self.http.post(url).body(order.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Orders a fault for this org.
    pub async fn fault(&self, mut order: Value) {
        order["org"] = json!(self.access.name);
        self.control("fault", order).await;
    }

    pub async fn soap_raw(&self, body: &str) -> Result<Response, reqwest::Error> {
        let envelope = format!(
            "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:m=\"http://soap.sforce.com/2006/04/metadata\"><e:Header><m:SessionHeader><m:sessionId>{}</m:sessionId>\
             </m:SessionHeader></e:Header><e:Body>{body}</e:Body></e:Envelope>",
            self.token
        );
        self.http
            .post(self.url("//services/Soap/m/67.0"))
            .header("SOAPAction", "\"\"")
            .body(envelope)
            .send()
            .await
    }

    pub async fn soap(&self, body: &str) -> (u16, String) {
        let answer = self.soap_raw(body).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// A listing; panics on a fault.
    pub async fn list(&self, kind: &str, folder: Option<&str>) -> Vec<Row> {
        let (status, text) = self.list_raw(&[(kind, folder)]).await;
        assert_eq!(status, 200, "{text}");
        rows(&text, "result")
    }

    pub async fn list_raw(&self, queries: &[(&str, Option<&str>)]) -> (u16, String) {
        let mut body = String::from("<m:listMetadata>");
        for (kind, folder) in queries {
            body.push_str("<m:queries>");
            if let Some(folder) = folder {
                body += &format!("<m:folder>{folder}</m:folder>");
            }
            body += &format!("<m:type>{kind}</m:type></m:queries>");
        }
        self.soap(&(body + "<m:asOfVersion>67.0</m:asOfVersion></m:listMetadata>"))
            .await
    }

    /// Starts a retrieve and gives its id.
    pub async fn retrieve(&self, types: &[(&str, &[&str])]) -> String {
        let mut asked = String::new();
        for (kind, members) in types {
            asked.push_str("<types>");
            for member in *members {
                asked += &format!("<members>{member}</members>");
            }
            asked += &format!("<name>{kind}</name></types>");
        }
        let body = format!(
            "<m:retrieve><retrieveRequest><apiVersion>67.0</apiVersion><singlePackage>false</singlePackage>\
             <unpackaged>{asked}<version>67.0</version></unpackaged></retrieveRequest></m:retrieve>"
        );
        let (status, text) = self.soap(&body).await;
        assert_eq!(status, 200, "{text}");
        assert!(
            text.contains("<done>false</done>") && text.contains("<state>Queued</state>"),
            "{text}"
        );
        element(&text, "id").unwrap()
    }

    pub async fn status(&self, id: &str, include_zip: bool) -> (u16, String) {
        self.soap(&check(id, include_zip)).await
    }

    /// Polls until the retrieve is done and gives the last answer.
    pub async fn wait(&self, id: &str) -> String {
        for _ in 0..500 {
            let (status, text) = self.status(id, false).await;
            assert_eq!(status, 200, "{text}");
            if text.contains("<done>true</done>") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("retrieve {id} does not end");
    }

    /// Retrieves to the end.
    pub async fn fetch(&self, types: &[(&str, &[&str])]) -> Fetched {
        let id = self.retrieve(types).await;
        self.wait(&id).await;
        let (status, text) = self.status(&id, true).await;
        assert_eq!(status, 200, "{text}");
        let zip = STANDARD.decode(element(&text, "zipFile").unwrap()).unwrap();
        Fetched {
            files: unzip(&zip),
            text,
            zip,
        }
    }
}

pub fn check(id: &str, include_zip: bool) -> String {
    format!(
        "<checkRetrieveStatus><asyncProcessId>{id}</asyncProcessId><includeZip>{include_zip}</includeZip></checkRetrieveStatus>"
    )
}

pub struct Fetched {
    pub files: BTreeMap<String, Vec<u8>>,
    pub text: String,
    pub zip: Vec<u8>,
}

impl Fetched {
    pub fn file(&self, path: &str) -> &str {
        let bytes = self
            .files
            .get(path)
            .unwrap_or_else(|| panic!("{path} not in {:?}", self.files.keys()));
        std::str::from_utf8(bytes).unwrap()
    }

    pub fn messages(&self) -> Vec<String> {
        rows(&self.text, "messages")
            .into_iter()
            .map(|row| row["problem"].clone())
            .collect()
    }
}

pub type Row = BTreeMap<String, String>;

/// The elements of a name with their leaves; nil leaves are absent.
pub fn rows(text: &str, name: &str) -> Vec<Row> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open)
        .skip(1)
        .map(|rest| leaves(&rest[..rest.find(&close).unwrap()]))
        .collect()
}

fn leaves(mut text: &str) -> Row {
    let mut row = Row::new();
    while let Some(open) = text.find('<') {
        let end = open + text[open..].find('>').unwrap();
        let tag = &text[open + 1..end];
        text = &text[end + 1..];
        if tag.ends_with('/') {
            continue;
        }
        let close = format!("</{tag}>");
        let at = text.find(&close).unwrap();
        row.insert(tag.to_owned(), unescape(&text[..at]));
        text = &text[at + close.len()..];
    }
    row
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// The text of the first element of that name.
pub fn element(text: &str, name: &str) -> Option<String> {
    let begin = text.find(&format!("<{name}>"))? + name.len() + 2;
    let end = begin + text[begin..].find(&format!("</{name}>"))?;
    Some(unescape(&text[begin..end]))
}

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    bytes[at..at + length]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Reads a zip by its central directory and checks each entry's checksum.
pub fn unzip(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let end = zip.len() - 22;
    assert_eq!(&zip[end..end + 4], b"PK\x05\x06");
    let mut at = number(zip, end + 16, 4);
    let mut files = BTreeMap::new();
    for _ in 0..number(zip, end + 10, 2) {
        assert_eq!(&zip[at..at + 4], b"PK\x01\x02");
        let (crc, packed, size) = (
            number(zip, at + 16, 4),
            number(zip, at + 20, 4),
            number(zip, at + 24, 4),
        );
        let (name_length, local) = (number(zip, at + 28, 2), number(zip, at + 42, 4));
        let name = String::from_utf8(zip[at + 46..at + 46 + name_length].to_vec()).unwrap();
        // Bit 3: the local header knows neither sizes nor checksum, a descriptor behind the data does.
        assert_eq!(
            (
                number(zip, local + 6, 2) & 8,
                number(zip, local + 14, 4),
                number(zip, local + 18, 4)
            ),
            (8, 0, 0)
        );
        let data = local + 30 + name_length;
        assert_eq!(&zip[data + packed..data + packed + 4], b"PK\x07\x08");
        let mut content = Vec::new();
        flate2::read::DeflateDecoder::new(&zip[data..data + packed])
            .read_to_end(&mut content)
            .unwrap();
        let mut sum = flate2::Crc::new();
        sum.update(&content);
        assert_eq!((sum.sum() as usize, content.len()), (crc, size), "{name}");
        files.insert(name, content);
        at += 46 + name_length;
    }
    files
}
