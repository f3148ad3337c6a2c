/** A session keeps its variables and files from call to call: `node examples/typescript/session.ts`. */

import { writeFile } from 'node:fs/promises';
import { Coderun } from 'coderun/client';

const { CODERUN_URL: baseUrl = 'http://127.0.0.1:8080', CODERUN_API_KEY: apiKey } = process.env;
const { sessions } = new Coderun({ baseUrl, apiKey });

const { name } = await sessions.create({}, { waitSeconds: 60 });
try {
  await sessions.execute(name, { code: 'import numpy as np; x = np.linspace(0, 2 * np.pi, 200)' });
  const code = 'import matplotlib.pyplot as plt; plt.plot(x, np.sin(x)); plt.savefig("plot.png"); print(len(x))';
  for await (const event of sessions.follow(name, { code }))
    if (event.event === 'stdout') console.log(event.text.trim());
  for (const variable of await sessions.variables(name)) console.log(variable.name, variable.type, variable.size);
  await writeFile('plot.png', await sessions.readFile(name, 'plot.png'));
  console.log('The figure is in plot.png.');
} finally {
  await sessions.delete(name);
}
