// Lays out each source with Graphviz, and gives the picture colours for a light and a dark page.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { instance } from '@viz-js/viz';

const defaults = {
  graphAttributes: { fontname: 'Helvetica', fontsize: 12, bgcolor: 'white', pad: 0.2 },
  nodeAttributes: { shape: 'box', style: 'rounded,filled', fillcolor: 'white', fontname: 'Helvetica', fontsize: 12, margin: '0.15,0.08' },
  edgeAttributes: { fontname: 'Helvetica', fontsize: 10, arrowsize: 0.7 },
};

const colours = (page, text, line, box, outside, data, question) => `
  .graph > polygon { fill: ${page}; stroke: none }
  text { fill: ${text} }
  .cluster path, .cluster polygon { fill: none; stroke: ${line} }
  .node path, .node polygon { fill: ${box}; stroke: ${line} }
  .outside path { fill: ${outside} } .data path { fill: ${data} } .question path { fill: ${question} }
  .edge path { stroke: ${line} } .edge polygon { fill: ${line}; stroke: ${line} }`;

const style = `<style>${colours('#ffffff', '#1f2328', '#59636e', '#f6f8fa', '#ddf4ff', '#dafbe1', '#fff8c5')}
@media (prefers-color-scheme: dark) {${colours('#0d1117', '#f0f6fc', '#9198a1', '#212830', '#14325c', '#12391f', '#3d2f0a')}
}</style>`;

const viz = await instance();
const isCheck = process.argv[2] === '--check';
let stale = 0;
for (const source of readdirSync('.').filter((name) => name.endsWith('.dot'))) {
  const svg = viz.renderString(readFileSync(source, 'utf8'), { format: 'svg', ...defaults });
  const picture = svg.slice(svg.indexOf('<svg')).replace(/(<svg[^>]*>)/, `$1\n${style}`);
  const file = source.replace('.dot', '.svg');
  if (!isCheck) {
    writeFileSync(file, picture);
  } else if (readFileSync(file, 'utf8') !== picture) {
    console.log(`docs/pictures/${file} is not what ${source} makes: run docs/pictures/build.sh`);
    stale += 1;
  }
}
process.exitCode = stale ? 1 : 0;
