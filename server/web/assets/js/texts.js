// All texts that people read. Both languages have the same keys; a test compares them.
import { en } from "./texts/en.js";
import { zh } from "./texts/zh.js";

export const texts = { en, zh };
