/**
 * Shadow roots for media-chrome without `<style>` elements, so that the page's content policy can stay at
 * `style-src 'self'`. Called only by media-chrome's own code, through `build/strict-chrome.ts`.
 *
 * Two kinds of sheet stand in each root: shared ones parsed once per text, then one of the root's own for the rules
 * media-chrome writes while it runs (a slider's width). The own sheet is last, so its rules win, as they do in the
 * original where they are appended to the element's `<style>`.
 */

const shared = new Map<string, CSSStyleSheet>();
const own = new WeakMap<ShadowRoot, CSSStyleSheet>();

/** Fills a root with markup whose style texts become constructed sheets. */
export function fillShadow(root: ShadowRoot, html: string): void {
  const template = document.createElement('template');
  template.innerHTML = html;
  const sheets: CSSStyleSheet[] = [];
  for (const style of template.content.querySelectorAll('style')) {
    sheets.push(parsed(style.textContent ?? ''));
    style.remove();
  }
  // Elements inside build their own roots when upgraded; declarative copies of those roots would only hold styles.
  for (const nested of template.content.querySelectorAll('template[shadowrootmode]')) nested.remove();
  root.adoptedStyleSheets = [...sheets, ownSheet(root)];
  root.replaceChildren(document.importNode(template.content, true));
}

/** A rule this root wrote for itself earlier; rules of the shared sheets are never given out, for they are shared. */
export function getCSSRule(root: ShadowRoot, matches: (selector: string) => boolean): CSSStyleRule | undefined {
  for (const rule of ownSheet(root).cssRules) {
    if (rule instanceof CSSStyleRule && matches(rule.selectorText)) return rule;
  }
  return undefined;
}

export function getOrInsertCSSRule(root: ShadowRoot, selector: string): CSSStyleRule {
  return getCSSRule(root, (text) => text === selector) ?? insertCSSRule(root, selector);
}

export function insertCSSRule(root: ShadowRoot, selector: string): CSSStyleRule {
  const { cssRules } = ownSheet(root);
  const rule = cssRules[ownSheet(root).insertRule(`${selector}{}`, cssRules.length)];
  if (!(rule instanceof CSSStyleRule)) throw new Error(`${selector} is not a style rule`);
  return rule;
}

function ownSheet(root: ShadowRoot): CSSStyleSheet {
  let sheet = own.get(root);
  if (!sheet) {
    sheet = new CSSStyleSheet();
    own.set(root, sheet);
  }
  return sheet;
}

function parsed(text: string): CSSStyleSheet {
  let sheet = shared.get(text);
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    shared.set(text, sheet);
  }
  return sheet;
}
