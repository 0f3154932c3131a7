// What jsforce 3 (npm) sees of a simulated org: one line for each check, exit 1 when any fails.
//
// Usage: node jsforce_checks.mjs ACCESS.json     (from a folder whose node_modules has jsforce; NODE_EXTRA_CA_CERTS names
// the certificate)
//
// The client is unmodified. The consent page is asked as a browser would ask it; all other requests are jsforce's own.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const jsforce = createRequire(join(process.cwd(), 'here.js'))('jsforce');
const access = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const version = '67.0';
const url = access.instance_url;
const redirectUri = 'http://localhost:1717/OauthRedirect';
const app = { loginUrl: url, clientId: access.client_id, clientSecret: 'none is set', redirectUri };

let failed = 0;
async function check(sentence, work) {
  const begun = Date.now();
  const told = (verdict, more = '') =>
    console.log(`${verdict} ${((Date.now() - begun) / 1000).toFixed(1).padStart(5)} s  jsforce/${access.name}: ${sentence}${more}`);
  try {
    const value = await work();
    told('ok  ');
    return value;
  } catch (error) {
    failed += 1;
    const said = `${error.name}: ${String(error.message).replace(/\s+/g, ' ').slice(0, 400)}`;
    told('FAIL', `\n       ${said}\n       ${(error.stack ?? '').split('\n').find((line) => line.includes('jsforce_checks')) ?? ''}`);
    return undefined;
  }
}

async function refused(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.errorCode ?? error.name, code, error.message);
    return true;
  });
}

const connection = new jsforce.Connection({
  oauth2: app, instanceUrl: url, refreshToken: access.refresh_token, version,
});

await check('oauth2 refresh: a request without a session refreshes by itself, then goes on', async () => {
  let fresh;
  connection.on('refresh', (token) => { fresh = token; });
  const answer = await connection.query('SELECT Id FROM Organization');
  assert.equal(answer.records[0].Id, access.organization_id);
  assert.ok(fresh.startsWith(`${access.organization_id.slice(0, 15)}!`), fresh);
});

await check('a session that ended is renewed in the middle of work, once', async () => {
  const before = connection.accessToken;
  const expire = await fetch(`${url}/_control/expire`, { method: 'POST', body: JSON.stringify({ org: access.name }) });
  assert.equal(expire.status, 200);
  assert.equal((await connection.query('SELECT Id FROM User')).totalSize, 1);
  assert.notEqual(connection.accessToken, before);
});

await check('oauth2 web-server flow with PKCE and state', async () => {
  const oauth2 = new jsforce.OAuth2({ ...app, useVerifier: true });
  const page = new URL(oauth2.getAuthorizationUrl({ scope: 'refresh_token api', state: 'a b' }));
  const challenge = createHash('sha256').update(oauth2.codeVerifier).digest('base64url');
  assert.equal(page.searchParams.get('code_challenge'), challenge);
  const answer = await fetch(page, { redirect: 'manual' });
  assert.equal(answer.status, 302);
  const back = new URL(answer.headers.get('location'));
  assert.equal(`${back.origin}${back.pathname}`, redirectUri);
  assert.equal(back.searchParams.get('state'), 'a b');
  const code = back.searchParams.get('code');
  const fresh = new jsforce.Connection({ oauth2, version });
  const user = await fresh.authorize(code);
  assert.deepEqual([user.id, user.organizationId], [access.user_id, access.organization_id]);
  assert.ok(fresh.refreshToken.startsWith('5Aep861'));
  await refused(new jsforce.Connection({ oauth2, version }).authorize(code), 'invalid_grant');
  const { refreshToken } = fresh;
  assert.ok((await new jsforce.OAuth2(app).refreshToken(refreshToken)).access_token);
  await fresh.logout(true);
  await refused(new jsforce.OAuth2(app).refreshToken(refreshToken), 'invalid_grant');
});

await check('oauth2 client credentials, password, and SOAP login and logout', async () => {
  const apps = new jsforce.Connection({ instanceUrl: url, oauth2: app, version });
  await apps.authorize({ grant_type: 'client_credentials' });
  assert.equal((await apps.query('SELECT Id FROM User')).records[0].Id, access.user_id);
  const person = new jsforce.Connection({ oauth2: app, version });
  await person.login(access.username, access.password);
  assert.equal((await person.identity()).username, access.username);
  const soap = new jsforce.Connection({ loginUrl: url, version });
  const user = await soap.login(access.username, access.password);
  assert.equal(user.organizationId, access.organization_id);
  await soap.logout();
  await assert.rejects(new jsforce.Connection({ loginUrl: url, version }).login(access.username, 'no'), /INVALID_LOGIN/);
});

await check('identity', async () => {
  const identity = await connection.identity();
  assert.equal(identity.organization_id, access.organization_id);
  assert.equal(identity.user_id, access.user_id);
  assert.equal(identity.timezone, access.time_zone);
  assert.ok(identity.urls.metadata.includes('/services/Soap/m/{version}/'));
});

await check('query with paging (autoFetch) walks 4,500 rows', async () => {
  const records = await connection.query('SELECT Id, Name FROM Account', { autoFetch: true, maxFetch: 10000 });
  assert.equal(records.totalSize, 4500);
  assert.equal(new Set(records.records.map((row) => row.Id)).size, 4500);
});

await check('queryMore by hand, and a locator used up', async () => {
  const first = await connection.query('SELECT Id FROM Contact');
  assert.deepEqual([first.done, first.records.length], [false, 2000]);
  const last = await connection.queryMore(first.nextRecordsUrl);
  assert.deepEqual([last.done, last.records.length], [true, 1000]);
  await refused(connection.queryMore(first.nextRecordsUrl), 'INVALID_QUERY_LOCATOR');
});

await check('sobject().find with conditions, sort, limit and offset', async () => {
  const rows = await connection.sobject('Account')
    .find({ Industry: ['Energy', 'Banking'], NumberOfEmployees: { $gte: 100, $lt: 200 } }, ['Id', 'Name', 'Owner.Name'])
    .sort({ Name: -1 }).limit(7).skip(3).execute();
  assert.equal(rows.length, 7);
  assert.equal(rows[0].Owner.Name, 'Sim Admin');
  assert.ok(rows[0].Name > rows[6].Name);
  assert.equal(await connection.sobject('Account').count({ Industry: 'Energy' }), 900);
});

await check('errors carry Salesforce\'s codes', async () => {
  await refused(connection.query('SELECT Id FORM Account'), 'MALFORMED_QUERY');
  await refused(connection.query('SELECT Nope FROM Account'), 'INVALID_FIELD');
  await refused(connection.query('SELECT Id FROM Nope__c'), 'INVALID_TYPE');
  await refused(connection.sobject('Nope__c').describe(), 'NOT_FOUND');
  await refused(connection.tooling.query('SELECT Id FROM FieldDefinition'), 'MALFORMED_QUERY');
});

await check('describeGlobal and describe', async () => {
  const all = await connection.describeGlobal();
  const custom = all.sobjects.find((object) => object.custom);
  assert.ok(all.sobjects.some((object) => object.name === 'Account') && custom, 'no custom object');
  const account = await connection.sobject('Account').describe();
  assert.equal(account.keyPrefix, '001');
  const owner = account.fields.find((field) => field.name === 'OwnerId');
  assert.deepEqual([owner.type, owner.referenceTo, owner.relationshipName], ['reference', ['User'], 'Owner']);
  assert.ok(account.childRelationships.some((child) => child.childSObject === 'Contact'));
  assert.equal((await connection.sobject(custom.name).describe()).name, custom.name);
});

await check('tooling.query of classes with bodies, entities and a definition', async () => {
  const classes = await connection.tooling.query('SELECT Id, Name, Body, LastModifiedBy.Name FROM ApexClass LIMIT 3');
  assert.ok(classes.records.length > 0 && classes.records[0].Body.includes('class'), JSON.stringify(classes.records[0]));
  const entities = await connection.tooling.query(
    'SELECT DurableId, QualifiedApiName FROM EntityDefinition ORDER BY DurableId LIMIT 2000');
  assert.ok(entities.records.some((row) => row.QualifiedApiName === 'Account'));
  const layouts = await connection.tooling.query('SELECT Id, Name, EntityDefinition.QualifiedApiName FROM Layout LIMIT 1');
  const whole = await connection.tooling.query(`SELECT FullName, Metadata FROM Layout WHERE Id = '${layouts.records[0].Id}'`);
  assert.ok(whole.records[0].FullName.startsWith(layouts.records[0].EntityDefinition.QualifiedApiName));
  assert.ok(typeof whole.records[0].Metadata === 'object');
});

await check('dependencies: at most 2,000 rows by query, all by Bulk on the tooling path', async () => {
  const soql = 'SELECT MetadataComponentId, MetadataComponentName, RefMetadataComponentName, RefMetadataComponentType '
    + 'FROM MetadataComponentDependency';
  const some = await connection.tooling.query(soql);
  assert.ok(some.done && some.totalSize <= 2000);
  const body = JSON.stringify({ operation: 'query', query: soql });
  const base = `/services/data/v${version}/tooling/jobs/query`;
  const job = await connection.request({ method: 'POST', url: base, body, headers: { 'content-type': 'application/json' } });
  for (let tries = 0; (await connection.request(`${base}/${job.id}`)).state !== 'JobComplete'; tries += 1) {
    assert.ok(tries < 300, 'the job does not end');
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  const rows = await connection.request({ method: 'GET', url: `${base}/${job.id}/results`, headers: { Accept: 'text/csv' } });
  assert.ok(rows.length >= some.totalSize, `${rows.length} < ${some.totalSize}`);
});

await check('limits and the usage of every answer', async () => {
  const limits = await connection.limits();
  assert.equal(limits.DailyApiRequests.Max, 15000);
  assert.equal(connection.limitInfo.apiUsage.limit, 15000);
});

await check('bulk2 query streams 4,500 records', async () => {
  connection.bulk2.pollInterval = 200;
  connection.bulk2.pollTimeout = 60000;
  const stream = await connection.bulk2.query('SELECT Id, Name, Description FROM Account');
  const rows = await stream.toArray();
  assert.equal(rows.length, 4500);
  assert.equal(rows.find((row) => row.Name === 'Account 00010').Description, 'says "yes",\nand more');
  await refused(connection.bulk2.query('SELECT Nope FROM Account'), 'INVALID_FIELD');
});

await check('metadata.describe and metadata.list', async () => {
  const described = await connection.metadata.describe(version);
  assert.ok(described.metadataObjects.some((type) => type.xmlName === 'ApexClass' && type.metaFile === true));
  const listed = await connection.metadata.list([{ type: 'ApexClass' }, { type: 'CustomField' }], version);
  assert.ok(listed.every((entry) => entry.id.length === 18 && ['ApexClass', 'CustomField'].includes(entry.type)));
  assert.ok(listed.length > 2);
  await refused(connection.metadata.list([{ type: 'NoSuchType' }], version), 'sf:INVALID_TYPE');
});

await check('metadata.retrieve, checkRetrieveStatus, and the zip once', async () => {
  const started = await connection.metadata.retrieve({
    apiVersion: version, singlePackage: true, unpackaged: { types: [{ name: 'ApexClass', members: ['*', 'Nope'] }], version },
  });
  let status;
  for (let tries = 0; ; tries += 1) {
    status = await connection.metadata.checkRetrieveStatus(started.id);
    if (status.done) break;
    assert.ok(tries < 300, 'the retrieve does not end');
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  assert.deepEqual([status.status, status.success], ['Succeeded', true]);
  assert.ok(Buffer.from(status.zipFile, 'base64').subarray(0, 2).equals(Buffer.from('PK')));
  assert.ok(status.fileProperties.some((file) => file.fileName.endsWith('.cls')));
  assert.equal([status.messages].flat()[0].problem, "Entity of type 'ApexClass' named 'Nope' cannot be found");
  const again = await connection.metadata.checkRetrieveStatus(started.id);
  assert.ok(again.done && !again.zipFile, 'the zip came twice');
});

process.exit(failed ? 1 : 0);
