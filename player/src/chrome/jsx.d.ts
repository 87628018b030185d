import type { HTMLAttributes } from 'preact';

declare module 'preact' {
  interface HTMLAttributes {
    /** media-chrome: this child of the controller stays while the controls fade. */
    noautohide?: boolean;
  }
  namespace JSX {
    interface IntrinsicElements {
      'media-controller': ControllerAttributes;
      'media-control-bar': ChromeAttributes;
      'media-play-button': ChromeAttributes;
      'media-mute-button': ChromeAttributes;
      'media-volume-range': ChromeAttributes;
      'media-captions-button': ChromeAttributes;
      'media-pip-button': ChromeAttributes;
      'media-fullscreen-button': ChromeAttributes;
      'media-loading-indicator': ChromeAttributes & { loadingdelay?: string };
    }
  }
}

type ChromeAttributes = HTMLAttributes<HTMLElement>;
type ControllerAttributes = ChromeAttributes & {
  nohotkeys?: boolean;
  nomutedpref?: boolean;
  noautoseektolive?: boolean;
  autohide?: string;
  defaultstreamtype?: string;
};
