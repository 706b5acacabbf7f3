// All texts that people read. Both languages have the same keys; a test compares them.
import { enOperations } from "./texts/en-operations.js";
import { en } from "./texts/en.js";
import { zhOperations } from "./texts/zh-operations.js";
import { zh } from "./texts/zh.js";

export const texts = { en: { ...en, ...enOperations }, zh: { ...zh, ...zhOperations } };
