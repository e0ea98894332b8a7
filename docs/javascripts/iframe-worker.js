// The search runs in a Worker, which a page that was opened from the disk may not start: there, this runs the same
// script in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class {
    onmessage = null

    constructor(url) {
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.append(this.frame)
      const inner = this.frame.contentWindow
      inner.document.open()
      inner.document.write("<!doctype html><body></body>")
      inner.document.close()
      inner.postMessage = message => {
        const data = structuredClone(message)
        setTimeout(() => this.onmessage?.({ data }))
      }
      const script = inner.document.createElement("script")
      script.src = new URL(url, location.href).href
      this.loaded = new Promise(resolve => { script.onload = resolve })
      inner.document.body.append(script)
    }

    postMessage(message) {
      const inner = this.frame.contentWindow
      const data = structuredClone(message)
      this.loaded.then(() => setTimeout(() => inner.dispatchEvent(new inner.MessageEvent("message", { data }))))
    }

    terminate() {
      this.frame.remove()
    }
  }
}
