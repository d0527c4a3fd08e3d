// Judges each request of a client that has shown a certificate by the table of elasticsearch_grants.py, and passes on
// what it allows. In nginx's JavaScript, which lacks destructuring and `for … of`.

import fs from 'fs';

const GRANTS = JSON.parse(fs.readFileSync('/etc/argus/grants.json'));
const OPERATIONS = ['create', 'index', 'update', 'delete'];
const NEWLINE = 10;
// What may be in a URL's parameters. Elasticsearch has taken `;` for `&`.
const PARAMETERS = /^[A-Za-z0-9_.,*%=&-]+$/;
const JSON_TYPE = /^application\/(vnd\.elasticsearch\+)?(x-nd)?json *(;|$)/i;
// The keys by which the body of a search reads another index than the one in its path.
const ELSEWHERE = ['index', '_index', 'target_index', 'indexed_shape', 'percolate', 'pit'];

function enter(r) {
    const subject = r.variables.ssl_client_s_dn;
    const client = subject.startsWith('CN=') ? subject.slice(3) : subject;
    const grants = Object.keys(GRANTS).includes(client) ? GRANTS[client] : {requests: [], bulk: {}};
    const uri = r.variables.request_uri;
    const asked = `${client} may not ${r.method} ${uri}`;
    if (!grants.requests.some((request) => covers(request, r.method, uri))) {
        return refuse(r, 403, asked);
    }
    const path = uri.split('?')[0];
    const bulk = path === '/_bulk';
    if (bulk || path.endsWith('/_search')) {
        // What cannot be read here cannot be judged.
        if (r.headersIn['Content-Encoding'] || !JSON_TYPE.test(r.headersIn['Content-Type'] || '')) {
            return refuse(r, 415, `${asked}, but in JSON that is not compressed`);
        }
        if (bulk) {
            return write(r, client, grants.bulk);
        }
        const reason = whyNoSearch(r.requestText);
        if (reason) {
            return refuse(r, 403, `${asked} with ${reason}`);
        }
    }
    r.internalRedirect('@elasticsearch');
}

function covers(request, method, uri) {
    const mark = uri.indexOf('?');
    const path = mark < 0 ? uri : uri.slice(0, mark);
    if (request.method !== method || !whole(request.path, path)) {
        return false;
    }
    if (mark < 0) {
        return true;
    }
    const parameters = uri.slice(mark + 1);
    return PARAMETERS.test(parameters)
        && parameters.split('&').every((each) => request.parameters.includes(each.split('=')[0]));
}

function whole(pattern, text) {
    return new RegExp(`^(?:${pattern})$`).test(text);
}

function refuse(r, status, reason) {
    r.warn(`refused: ${reason}`);
    r.headersOut['Content-Type'] = 'application/json';
    r.return(status, `${JSON.stringify({error: error(reason), status: status})}\n`);
}

function error(reason) {
    return {type: 'security_exception', reason: reason};
}

// Why the body of a search is refused; undefined where it is not.
function whyNoSearch(body) {
    let search;
    try {
        search = JSON.parse(body || '{}');
    } catch (malformed) {
        return 'a body that is no JSON';
    }
    const found = keyThatReadsElsewhere(search);
    return found && `the key ${found}, by which a search reads another index`;
}

// Of a key that is there twice only one is seen here; Elasticsearch refuses such a body.
function keyThatReadsElsewhere(value) {
    if (value === null || typeof value !== 'object') {
        return undefined;
    }
    const keys = Object.keys(value);
    for (let i = 0; i < keys.length; i++) {
        const found = ELSEWHERE.includes(keys[i]) ? keys[i] : keyThatReadsElsewhere(value[keys[i]]);
        if (found) {
            return found;
        }
    }
    return undefined;
}

// A bulk request: what the client may do is passed on, and what it may not is answered as Elasticsearch answers for a
// document that it refuses, so that one such document does not hold up the others. The lines that name an index are
// written anew, so that nothing can be read differently here and there.
async function write(r, client, allowed) {
    const body = r.requestBuffer;
    const passed = [];
    const refused = [];
    let at = 0;

    function line() {
        const end = body.indexOf(NEWLINE, at);
        const found = body.slice(at, end < 0 ? body.length : end + 1);
        at += found.length;
        return found;
    }

    while (body && at < body.length) {
        const said = line().toString().trim();
        if (said === '') {
            continue;
        }
        const action = read(said);
        const document = action && action.operation !== 'delete' ? line() : undefined;
        if (!action || (document && document.length === 0)) {
            return refuse(r, 400, `${client} has sent a bulk request that cannot be read at ${said.slice(0, 100)}`);
        }
        const may = (allowed[action.operation] || []).some((index) => whole(index, action.index));
        if (may && action.plain) {
            passed.push(Buffer.from(`${JSON.stringify(action.anew)}\n`));
            if (document) {
                passed.push(document);
            }
            refused.push(null);
        } else {
            const what = may ? `with other words than _index and _id` : `in ${action.index}`;
            refused.push(refusal(action, `${client} may not ${action.operation} ${what}`));
        }
    }
    const several = refused.filter((item) => item !== null);
    if (several.length) {
        r.warn(`refused: ${several.length} of ${refused.length} of a bulk request, as ${JSON.stringify(several[0])}`);
    }
    if (passed.length === 0 && several.length) {
        return answer(r, 200, JSON.stringify({took: 0, errors: true, items: refused}));
    }
    const given = await r.subrequest('/-/bulk', {method: 'POST', body: Buffer.concat(passed)});
    if (given.status !== 200 || several.length === 0) {
        return answer(r, given.status, given.responseBuffer);
    }
    const merged = JSON.parse(given.responseText);
    const items = merged.items || [];
    merged.errors = true;
    merged.items = refused.map((item) => item || items.shift());
    answer(r, 200, JSON.stringify(merged));
}

// An action of a bulk request; undefined where it is none.
function read(said) {
    let action;
    try {
        action = JSON.parse(said);
    } catch (malformed) {
        return undefined;
    }
    const words = action === null || typeof action !== 'object' ? [] : Object.keys(action);
    const target = words.length === 1 ? action[words[0]] : null;
    if (!OPERATIONS.includes(words[0]) || target === null || typeof target !== 'object') {
        return undefined;
    }
    const anew = {};
    anew[words[0]] = {_index: target._index, _id: target._id};
    return {
        operation: words[0],
        index: typeof target._index === 'string' ? target._index : '',
        id: target._id,
        anew: anew,
        plain: typeof target._id === 'string' && Object.keys(target).length === 2,
    };
}

function refusal(action, reason) {
    const item = {};
    item[action.operation] = {_index: action.index, _id: action.id, status: 403, error: error(reason)};
    return item;
}

function answer(r, status, body) {
    r.headersOut['Content-Type'] = 'application/json';
    r.headersOut['X-Elastic-Product'] = 'Elasticsearch';
    r.return(status, body);
}

// Whether the node is well, and nothing else of it.
async function health(r) {
    const given = await r.subrequest('/-/health');
    r.return(given.status === 200 ? 200 : 503, given.status === 200 ? 'well\n' : 'not well\n');
}

// Whether the node answers at all, whatever it says.
async function alive(r) {
    const given = await r.subrequest('/-/alive');
    r.return(given.status < 500 ? 200 : 503, given.status < 500 ? 'alive\n' : 'not alive\n');
}

export default {enter, health, alive};
