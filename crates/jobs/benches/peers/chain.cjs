// Chains of jobs in graphile-worker.
const { Logger, run } = require("graphile-worker");

const [CHAINS, WARM, COUNTED] = [64, 2_000, 4_000];
const sleep = (ms) => new Promise((awake) => setTimeout(awake, ms));

async function main() {
    let done = 0;
    const quiet = () => () => {};
    const worker = await run({
        connectionString: process.env.PEER_DATABASE,
        concurrency: 16,
        maxPoolSize: 24,
        logger: new Logger(quiet),
        noHandleSignals: true,
        taskList: {
            link: async (_payload, helpers) => {
                await helpers.addJob("link", {});
                done += 1;
            },
        },
    });
    for (let n = 0; n < CHAINS; n += 1) await worker.addJob("link", {});
    await sleep(WARM);
    const [before, began] = [done, performance.now()];
    await sleep(COUNTED);
    console.log(`jobs a second: ${Math.round(((done - before) * 1_000) / (performance.now() - began))}`);
    process.exit(0);
}

main();
