// What pages do beyond showing: live news, keys, dialogs, clocks.  All of it is a help; every page works without it.
import { listen } from "./live.js";
import { watchKeys } from "./keys.js";
import { tickClocks } from "./clocks.js";
import { watchDialogs, watchSettings } from "./dialogs.js";

tickClocks();
watchDialogs();
watchSettings();
watchKeys();
listen();
