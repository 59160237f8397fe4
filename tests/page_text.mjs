// Opens a page in Chromium, and prints its text as soon as it holds the given words.
//
//     node tests/page_text.mjs ADDRESS WORDS

import { chromium } from "playwright-core";

const [address, words] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.goto(address);
await page.getByText(words).first().waitFor({ timeout: 10_000 });
console.log(await page.innerText("body"));
await browser.close();
