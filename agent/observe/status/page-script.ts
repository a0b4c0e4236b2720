/**
 * The status page's script. It adds live update, and filters while one types; the page does all else without it. It stands
 * in the page itself, and the page's security policy names its hash.
 *
 * The server makes the new rows too: the script fetches the same page anew and takes over its changing part.
 */
export const pageScript = `
'use strict';
(() => {
  const intervalMs = 5000;
  const form = document.querySelector('form');
  const notice = document.getElementById('notice');
  let latest = 0;
  let timer;

  const address = () => location.pathname + '?' + new URLSearchParams(new FormData(form));
  const isBusy = () => document.hidden || String(getSelection()) !== '';

  async function update() {
    const turn = ++latest;
    clearTimeout(timer);
    try {
      const reply = await fetch(address(), { headers: { Accept: 'text/html' }, signal: AbortSignal.timeout(10000) });
      if (!reply.ok) throw new Error('status ' + reply.status);
      const page = new DOMParser().parseFromString(await reply.text(), 'text/html');
      const fresh = page.getElementById('live');
      if (turn !== latest || fresh === null) return;
      const focused = document.activeElement && document.activeElement.id;
      const open = [...document.querySelectorAll('details[open]')].map(({ id }) => id);
      document.getElementById('live').replaceWith(document.adoptNode(fresh));
      for (const id of open) document.getElementById(id)?.setAttribute('open', '');
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      notice.textContent = 'live';
      notice.className = 'good';
    } catch (error) {
      if (turn !== latest) return;
      notice.textContent = 'no answer from the agent: what is shown is old';
      notice.className = 'bad';
    }
    plan(intervalMs);
  }

  function plan(delayMs) {
    clearTimeout(timer);
    timer = setTimeout(() => (isBusy() ? plan(1000) : update()), delayMs);
  }

  function changed() {
    history.replaceState(null, '', address());
    clearTimeout(timer);
    timer = setTimeout(update, 150);
  }

  form.addEventListener('input', changed);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    changed();
  });
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element && event.target.closest('a[data-field]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    form.elements[link.dataset.field].value = link.dataset.value;
    changed();
  });
  form.elements.apply.hidden = true;
  notice.textContent = 'live';
  notice.className = 'good';
  plan(intervalMs);
})();
`;
