// The receipt needs no script but for the address of the voting page.

import { setSiblingLinks } from './links.js';

setSiblingLinks();
