// Counts tokens by the vocabulary o200k. Reads a list of texts as JSON, and writes a list of numbers.
import { text } from "node:stream/consumers";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";

console.log(JSON.stringify(JSON.parse(await text(process.stdin)).map((it) => countTokens(it))));
